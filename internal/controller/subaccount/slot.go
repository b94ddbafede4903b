package subaccount

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// reserve returns a slot for the next call of the reconcile. For the first call
// it does not wait: without a free slot the reconcile has to end
// (docs/decisions/005-places-in-the-budget.md).
func (p *pass) reserve(ctx context.Context) (*plivo.Slot, error) {
	switch slot := p.early; {
	case slot != nil:
		p.early = nil
		return slot, nil
	case p.started:
		return p.account.Reserve(ctx)
	}
	slot, err := p.r.queue.ask(ctx, p.account, client.ObjectKeyFromObject(p.o.Object))
	p.started, p.queued = err == nil, isNoSlot(err)
	return slot, err
}

// reserveEarly reserves the slot for the first call already now, so that a
// reconcile that has to wait costs no API request.
func (p *pass) reserveEarly(ctx context.Context) (err error) {
	if facts, ok := p.o.Account.Get(); p.early == nil && !p.started && ok && facts.Blocked == "" && facts.ID != "" {
		p.early, err = p.reserve(ctx)
	}
	return err
}

// A resource may make callBurst gets and updates within callWindow, so that one
// that somebody changes in a loop does not use up the budget.
const (
	callBurst  = 6
	callWindow = 30 * time.Second
)

// tooOften says that a resource has made its share of calls for now.
type tooOften struct{ wait time.Duration }

// Error implements error.
func (tooOften) Error() string { return "this resource was changed or asked after too often" }

// reserveSparingly is reserve for the calls that a change or a request of a
// tenant leads to.
func (p *pass) reserveSparingly(ctx context.Context) (*plivo.Slot, error) {
	if wait := p.r.memory.calls(p.o.Object, time.Now()); wait > 0 {
		return nil, tooOften{wait}
	}
	slot, err := p.reserve(ctx)
	if err == nil {
		p.r.memory.called(p.o.Object, time.Now())
	}
	return slot, err
}

// calls returns for how long a resource has to wait before its next call.
func (m *memory) calls(s *v1alpha1.Subaccount, now time.Time) (wait time.Duration) {
	m.known(s, func(e *entry) {
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

func (m *memory) called(s *v1alpha1.Subaccount, now time.Time) {
	m.with(s, func(e *entry) { e.calls = append(e.calls, now) })
}
