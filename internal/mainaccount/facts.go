package mainaccount

import (
	"slices"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// Usable says whether calls can be made now: the main account's ID, or why
// not. The message of a refusal is Plivo's.
type Usable struct {
	// ID is the main account's, empty while there are no credentials to use.
	ID string
	// Reason and Message of Block, if it is blocked.
	Reason, Message string
	// Refused: the circuit is open.
	Refused bool
}

// Usable says whether calls can be made now.
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

// Status is how the account's sweeps fare.
type Status struct {
	Outcome Outcome
	Message string
	// Failures is how many sweeps in a row were not complete.
	Failures int
	// Complete counts the complete sweeps.
	Complete int
	// Total is how many subaccounts the inventory has.
	Total int
	// MassDisappearance: the last complete sweep lacks most recorded subaccounts,
	// whether or not a person has confirmed that.
	MassDisappearance bool
}

// Status is how the account's sweeps fare.
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

// LastSweep is the last complete sweep.
func (a *Account) LastSweep() plan.Fact[plan.Sweep] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inventory.lastSweep.IsZero() {
		return plan.Unknown[plan.Sweep]()
	}
	return plan.Known(plan.Sweep{Started: a.inventory.lastSweep})
}

// Remote is what is known of one subaccount: Absent if the last complete sweep
// lacks it, Unknown before the first one. gone: we have deleted it ourselves.
func (a *Account) Remote(authID string) (remote plan.Fact[plan.Remote], missing plan.NotFound, gone bool) {
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

// WithMarker returns the subaccounts that bear a marker, in order.
func (a *Account) WithMarker(marker string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.inventory.markers[marker]))
}

// AllWithMarker returns all subaccounts whose name is a marker, of whichever cluster,
// with the marker.
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

// GuardOn says whether the mass-deletion guard is on: no absence counts.
func (a *Account) GuardOn() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.isOn()
}

// ConfirmDisappearance switches the mass-deletion guard off until the list
// shows enough subaccounts again, and returns whether it was on.
func (a *Account) ConfirmDisappearance() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.guard.isOn() {
		return false
	}
	a.guard.confirmed = true
	a.logGuard("a person's confirmation")
	clear(a.inventory.notFound) // from while the list was doubted
	return true
}
