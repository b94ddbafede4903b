// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// ClaimedAuthID returns the authID in the status of a Subaccount, or the one in its
// spec if the status has none.
func ClaimedAuthID(s *v1alpha1.Subaccount) string {
	if s.Status.AuthID == "" && s.Spec.AuthID != nil {
		return *s.Spec.AuthID
	}
	return s.Status.AuthID
}

// IsClaimHolder says whether, among all Subaccounts, this one holds the authID that
// it claims. The holder is the oldest Subaccount whose status has the authID. A
// Subaccount whose status does not have it yet holds it only if no other status
// has it.
func IsClaimHolder(s *v1alpha1.Subaccount, all []v1alpha1.Subaccount) bool {
	authID := ClaimedAuthID(s)
	return !slices.ContainsFunc(all, func(h v1alpha1.Subaccount) bool {
		if h.UID == s.UID || h.Status.AuthID != authID {
			return false
		}
		return s.Status.AuthID == "" || IsOlder(&h, s)
	})
}

// IsOlder compares creationTimestamps and, if they are equal, UIDs.
func IsOlder(a, b metav1.Object) bool {
	older, newer := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if older.Equal(&newer) {
		return a.GetUID() < b.GetUID()
	}
	return older.Before(&newer)
}

// ClaimFromCache decides a claim from the claimants that the cache shows. A cache
// may lag. If it shows another holder, the resource waits. If it shows none, that
// proves the claim only for a subaccount that the operator created for this
// resource, or whose credentials it has already handed out. Any other claim needs a
// list at the API server (confirmed).
func ClaimFromCache(s *v1alpha1.Subaccount, claimants []v1alpha1.Subaccount, confirmed bool) Fact[Claim] {
	holds := IsClaimHolder(s, claimants)
	alone := !slices.ContainsFunc(claimants, func(h v1alpha1.Subaccount) bool { return h.UID != s.UID && h.Status.AuthID != "" })
	hasSecret := s.Status.Binding != nil
	createdForIt := s.Spec.AuthID == nil
	certain := createdForIt || hasSecret || confirmed
	switch {
	case s.DeletionTimestamp == nil && !hasSecret && !holds:
		return Known(Claim{Ours: false})
	case s.Status.AuthID == "":
		return Unknown[Claim]()
	case alone && certain, holds && confirmed:
		return Known(Claim{Ours: true})
	default:
		// Only a list at the API server can take a claim away, or decide between
		// several claimants.
		return Unknown[Claim]()
	}
}
