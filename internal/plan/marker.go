// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"regexp"

	"k8s.io/apimachinery/pkg/types"
)

// The marker is the name under which the operator creates a subaccount, before it
// sets the wanted name. The name is the only field that the operator controls at
// creation, so it says which cluster and which Subaccount the new one is for. The
// operator computes it and never reads it from the status.
var markerForm = regexp.MustCompile(`^k8s-[0-9a-f]{8}-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

// Marker returns the marker of a Subaccount: k8s-<first 8 of the cluster's
// UID>-<UID>. The cluster's UID is the UID of the namespace kube-system.
func Marker(cluster, uid types.UID) string {
	return "k8s-" + string(cluster)[:min(8, len(cluster))] + "-" + string(uid)
}

// ParseMarker returns the UID of the Subaccount in a marker; ok is false for any
// other name.
func ParseMarker(name string) (uid types.UID, ok bool) {
	m := markerForm.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return types.UID(m[1]), true
}

// IsMarker says whether a name is a marker of any cluster.
func IsMarker(name string) bool { return markerForm.MatchString(name) }
