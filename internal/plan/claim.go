package plan

import (
	"slices"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// ClaimedAuthID is the authID that a Subaccount holds or is about to hold.
func ClaimedAuthID(s *v1alpha1.Subaccount) string {
	if s.Status.AuthID == "" && s.Spec.AuthID != nil {
		return *s.Spec.AuthID
	}
	return s.Status.AuthID
}

// IsClaimHolder says whether, among all Subaccounts, this one holds the authID that it
// claims: of those whose status names it the one with the earlier
// creationTimestamp, then the lower UID. One whose status does not name it yet
// holds it only if nobody's does.
func IsClaimHolder(s *v1alpha1.Subaccount, all []v1alpha1.Subaccount) bool {
	authID := ClaimedAuthID(s)
	return !slices.ContainsFunc(all, func(h v1alpha1.Subaccount) bool {
		if h.UID == s.UID || h.Status.AuthID != authID {
			return false
		}
		return s.Status.AuthID == "" || h.CreationTimestamp.Before(&s.CreationTimestamp) ||
			h.CreationTimestamp.Equal(&s.CreationTimestamp) && h.UID < s.UID
	})
}

// ClaimFromCache judges a claim by what a cache shows of all Subaccounts that claim
// the authID. A cache may lag: that another holds it is enough to wait, but what
// was not handed out yet is ours only where the operator has made it itself or
// where a live list has said so (judged).
func ClaimFromCache(s *v1alpha1.Subaccount, holders []v1alpha1.Subaccount, judged bool) Fact[Claim] {
	holds := IsClaimHolder(s, holders)
	alone := !slices.ContainsFunc(holders, func(h v1alpha1.Subaccount) bool { return h.UID != s.UID && h.Status.AuthID != "" })
	handedOut := s.Status.Binding != nil
	switch {
	case s.DeletionTimestamp == nil && !handedOut && !holds:
		return Known(Claim{Ours: false})
	case s.Status.AuthID == "":
		return Unknown[Claim]()
	case alone && (s.Spec.AuthID == nil || handedOut || judged), holds && judged:
		return Known(Claim{Ours: true})
	default:
		// That it has to be let go of, or is ours among several, a live list says.
		return Unknown[Claim]()
	}
}
