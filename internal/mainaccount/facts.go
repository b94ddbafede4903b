// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"slices"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// Usable says whether the operator can make calls now, and if not, why.
type Usable struct {
	// ID of the main account; empty if there are no usable credentials.
	ID string
	// Reason and Message are from Block. If Refused is true, Message is from Plivo.
	Reason, Message string
	// Refused says whether the circuit is open.
	Refused bool
}

// Usable says whether the operator can make calls now.
func (a *Account) Usable() Usable {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := Usable{Reason: a.blockedReason, Message: a.blockedMessage}
	if a.client != nil {
		u.ID = a.client.AccountID()
	}
	if a.circuit.open {
		u.Refused, u.Message = true, a.circuit.message
	}
	return u
}

// Status has the results of the account's sweeps.
type Status struct {
	Outcome Outcome
	Message string
	// Failures is the number of incomplete sweeps in a row.
	Failures int
	// Complete is the number of complete sweeps.
	Complete int
	// Total is the number of subaccounts in the inventory.
	Total int
	// MassDisappearance says whether the last complete sweep lacks most recorded
	// subaccounts. It stays true if a person has confirmed the disappearance.
	MassDisappearance bool
}

// Status returns the results of the account's sweeps.
func (a *Account) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Outcome: a.sweeper.outcome, Message: a.sweeper.message, Failures: a.sweeper.failures, Complete: a.sweeper.completeCount, MassDisappearance: a.guard.massDisappearance}
	for _, r := range a.inventory.rows {
		if !r.deleted {
			s.Total++
		}
	}
	return s
}

// LastSweep returns the last complete sweep; Unknown before the first one.
func (a *Account) LastSweep() plan.Fact[plan.Sweep] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inventory.lastSweep.IsZero() {
		return plan.Unknown[plan.Sweep]()
	}
	return plan.Known(plan.Sweep{Started: a.inventory.lastSweep})
}

// Remote returns the facts about one subaccount. remote is Absent if the last
// complete sweep lacks it, and Unknown before the first sweep. deleted says whether
// the operator has deleted the subaccount.
func (a *Account) Remote(authID string) (remote plan.Fact[plan.Remote], missing plan.NotFound, deleted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing = a.inventory.notFound[authID]
	r, ok := a.inventory.rows[authID]
	switch {
	case ok && r.deleted:
		return plan.Absent[plan.Remote](), missing, true
	case ok:
		return plan.Known(plan.Remote{
			Name: r.name, Enabled: r.enabled, TokenDigest: r.digest, UpdateUnconfirmed: r.updateUnconfirmed,
			SentAs: a.inventory.nameForms[authID].sentAs(r.name),
		}), missing, false
	case a.inventory.lastSweep.IsZero():
		return plan.Unknown[plan.Remote](), missing, false
	default:
		return plan.Absent[plan.Remote](), missing, false
	}
}

// WithMarker returns the subaccounts whose name is the given marker, in order.
func (a *Account) WithMarker(marker string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.inventory.markers[marker]))
}

// AllWithMarker returns all subaccounts whose name is a marker of any cluster: authID
// to marker.
func (a *Account) AllWithMarker() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	marked := map[string]string{}
	for marker, authIDs := range a.inventory.markers {
		for _, authID := range authIDs {
			marked[authID] = marker
		}
	}
	return marked
}

// GuardOn says whether the mass-deletion guard is on: a missing row proves nothing.
func (a *Account) GuardOn() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.isOn()
}

// ConfirmDisappearance switches the mass-deletion guard off until a sweep shows
// enough subaccounts again. It returns whether the guard was on.
func (a *Account) ConfirmDisappearance() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.guard.isOn() {
		return false
	}
	a.guard.confirmed = true
	a.logGuard("confirmation by a person")
	clear(a.inventory.notFound) // a 404 from before the confirmation proves nothing
	return true
}
