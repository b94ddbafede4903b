// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// IsMarkerOfCluster says whether a name is a marker of the given cluster.
func IsMarkerOfCluster(name string, cluster types.UID) bool {
	uid, ok := ParseMarker(name)
	return ok && name == Marker(cluster, uid)
}

// Strays returns the strays among the subaccounts with a marker of this cluster
// (authID to marker). A stray is in the status of no Subaccount, and the
// Subaccount in its marker has no pending creation. live must come from the API
// server. An instance that does not see every namespace (limited) returns only
// the strays of Subaccounts that it sees.
func Strays(marked map[string]string, live []v1alpha1.Subaccount, limited bool) []string {
	claimed := map[string]bool{}
	owners := map[types.UID]*v1alpha1.Subaccount{}
	for i := range live {
		owners[live[i].UID] = &live[i]
		claimed[live[i].Status.AuthID] = true
	}
	var strays []string
	for authID, marker := range marked {
		uid, _ := ParseMarker(marker)
		owner, exists := owners[uid]
		creating := exists && isCreating(owner)
		certain := exists || !limited
		if !claimed[authID] && !creating && certain {
			strays = append(strays, authID)
		}
	}
	slices.Sort(strays)
	return strays
}

func isCreating(s *v1alpha1.Subaccount) bool {
	return s.Status.AuthID == "" || s.Status.PendingCreation != nil
}
