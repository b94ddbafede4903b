package subaccount

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// reserveSlot returns a slot for the next call of the reconcile. For the first call
// it does not wait: without a free slot the reconcile has to end
// (docs/decisions/005-places-in-the-budget.md).
func (st *reconcileState) reserveSlot(ctx context.Context) (*plivo.Slot, error) {
	switch slot := st.reservedSlot; {
	case slot != nil:
		st.reservedSlot = nil
		return slot, nil
	case st.hasTurn:
		return st.mainAccount.AcquireSlot(ctx)
	}
	slot, err := st.reconciler.queue.requestSlot(ctx, st.mainAccount, client.ObjectKeyFromObject(st.obs.Object))
	st.hasTurn, st.isQueued = err == nil, isNoSlot(err)
	return slot, err
}

// reserveSlotEarly reserves the slot for the first call already now, so that a
// reconcile that has to wait costs no API request.
func (st *reconcileState) reserveSlotEarly(ctx context.Context) (err error) {
	if facts, ok := st.obs.Account.Get(); st.reservedSlot == nil && !st.hasTurn && ok && facts.Blocked == "" && facts.ID != "" {
		st.reservedSlot, err = st.reserveSlot(ctx)
	}
	return err
}

// A resource may make callBurst gets and updates within callWindow, so that one
// that somebody changes in a loop does not use up the budget.
const (
	callBurst  = 6
	callWindow = 30 * time.Second
)

// throttledError says that a resource has made its share of calls for now.
type throttledError struct{ wait time.Duration }

// Error implements error.
func (throttledError) Error() string { return "this resource was changed or asked after too often" }

// reserveThrottledSlot is reserve for the calls that a change or a request of a
// tenant leads to.
func (st *reconcileState) reserveThrottledSlot(ctx context.Context) (*plivo.Slot, error) {
	if wait := st.reconciler.memory.throttledFor(st.obs.Object, time.Now()); wait > 0 {
		return nil, throttledError{wait}
	}
	slot, err := st.reserveSlot(ctx)
	if err == nil {
		st.reconciler.memory.recordCall(st.obs.Object, time.Now())
	}
	return slot, err
}

// throttledFor returns for how long a resource has to wait before its next call.
func (m *memory) throttledFor(s *v1alpha1.Subaccount, now time.Time) (wait time.Duration) {
	m.updateExisting(s, func(e *entry) {
		e.calls = slices.DeleteFunc(e.calls, func(at time.Time) bool { return now.Sub(at) >= callWindow })
		if len(e.calls) >= callBurst {
			wait = e.calls[0].Add(callWindow).Sub(now)
		}
		if len(e.calls) == 0 {
			e.calls = nil
		}
	})
	return wait
}

func (m *memory) recordCall(s *v1alpha1.Subaccount, now time.Time) {
	m.update(s, func(e *entry) { e.calls = append(e.calls, now) })
}
