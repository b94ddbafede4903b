// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Allowed has the policies that the Account allows. An empty list allows all.
type Allowed struct {
	Deletion []v1alpha1.DeletionPolicy
	Cascade  []v1alpha1.CascadePolicy
}

// disallowedPolicyMessage says which policy of the spec the Account does not allow
// and what to do about it. It is empty if the Account allows all of them.
func (o *Observation) disallowedPolicyMessage() string {
	allowed, _ := o.Allowed.Get()
	deletion, cascade := o.Object.Spec.DeletionPolicy, o.Object.Spec.CascadePolicy
	if deletion == "" {
		deletion = v1alpha1.DeletionPolicyDelete
	}
	if cascade == "" {
		cascade = v1alpha1.CascadePolicyReassign
	}
	if isDisallowed(allowed.Deletion, deletion) {
		return o.disallowedMessage("deletionPolicy: "+string(deletion), "allowedDeletionPolicies")
	}
	if isDisallowed(allowed.Cascade, cascade) {
		return o.disallowedMessage("cascadePolicy: "+string(cascade), "allowedCascadePolicies")
	}
	return ""
}

func isDisallowed[P comparable](allowed []P, policy P) bool {
	return len(allowed) > 0 && !slices.Contains(allowed, policy)
}

func (o *Observation) disallowedMessage(policy, field string) string {
	effect := "Until then the operator changes nothing at Plivo."
	if o.isTerminating() {
		effect = "Until then the finalizer stays and nothing is deleted at Plivo."
	}
	return "The Account " + o.Object.Spec.AccountRef.Name + " does not allow " + policy + ". Change it in the spec, or ask the " +
		"platform team to add it to spec." + field + " of the Account. " + effect
}

// policyGate stops if the Account does not allow a policy of the spec. The
// subaccount and its Secret stay as they are.
func policyGate(o *Observation) *Decision {
	switch {
	case o.Allowed.IsUnknown():
		return noAction()
	case o.disallowedPolicyMessage() != "":
		return wait(v1alpha1.ReasonPolicyNotAllowed, o.disallowedPolicyMessage())
	default:
		return nil
	}
}

// deletionPolicyGate is policyGate for a terminating resource. It lets a resource
// pass that has no subaccount at Plivo: no policy applies to it.
func deletionPolicyGate(o *Observation) *Decision {
	status := &o.Object.Status
	hasNothing := status.AuthID == "" && status.PendingCreation == nil && !o.hasLostStatus()
	if !o.isTerminating() || hasNothing || o.Deleted {
		return nil
	}
	return policyGate(o)
}
