package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// IsMarkerOfCluster says whether a name is, whole, a marker of this cluster.
func IsMarkerOfCluster(name string, cluster types.UID) bool {
	_, uid, ok := ParseMarker(name)
	return ok && name == Marker(cluster, uid)
}

// Strays picks those among the subaccounts that bear a marker of this cluster
// (authID to marker) that are nobody's, judged on a live list: none claims it,
// and it was made for none that is still creating. An instance that does not
// see every namespace (limited) can tell only of those Subaccounts that it sees
// recorded under another authID.
func Strays(marked map[string]string, live []v1alpha1.Subaccount, limited bool) []string {
	claimed := map[string]bool{}
	owners := map[types.UID]*v1alpha1.Subaccount{}
	for i := range live {
		owners[live[i].UID] = &live[i]
		claimed[live[i].Status.AuthID] = true
	}
	var strays []string
	for authID, marker := range marked {
		_, uid, _ := ParseMarker(marker)
		owner, exists := owners[uid]
		creating := exists && (owner.Status.AuthID == "" || owner.Status.PendingCreation != nil)
		if !claimed[authID] && !creating && (exists || !limited) {
			strays = append(strays, authID)
		}
	}
	slices.Sort(strays)
	return strays
}
