package plan

import (
	"regexp"

	"k8s.io/apimachinery/pkg/types"
)

// The marker is the name under which a subaccount is created, before it gets
// the wanted one: the one field that the operator controls says which cluster
// and which Subaccount it was made for. It is computed, never read back from
// status.
var markerForm = regexp.MustCompile(`^k8s-([0-9a-f]{8})-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

// Marker of a Subaccount: k8s-<first 8 of the cluster's UID>-<UID>. The
// cluster's UID is that of the namespace kube-system.
func Marker(cluster, uid types.UID) string {
	return "k8s-" + string(cluster)[:min(8, len(cluster))] + "-" + string(uid)
}

// ParseMarker takes a name that is, whole, a marker apart.
func ParseMarker(name string) (cluster string, uid types.UID, ok bool) {
	m := markerForm.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return m[1], types.UID(m[2]), true
}

// IsMarker says whether a name is, whole, a marker, of whichever cluster.
func IsMarker(name string) bool { return markerForm.MatchString(name) }
