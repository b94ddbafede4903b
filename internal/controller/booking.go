package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// A pass whose first call finds the budget spent ends there, and is brought
// back with its place: whoever waits for one main account keeps nobody else's
// work from being done, however many there are.

// errBooked ends such a pass.
var errBooked = errors.New("a place in the request budget is waited for")

// booking is a place in the budget that a resource waits for or has been given.
type booking struct {
	uid types.UID
	// All under the memory's lock.
	slot   *plivo.Slot // nil: waited for, or taken
	parked bool        // the pass has ended without it
	at     int64       // generation that it was for; a deletion is a new one
}

// A resource may make callBurst gets and updates within callWindow: who changes
// or annotates it in a loop gets its last wish done, and no more of the budget.
const (
	callBurst  = 6
	callWindow = 30 * time.Second
)

// tooOften says that a resource has made its share of calls for now.
type tooOften struct{ wait time.Duration }

// Error implements error.
func (tooOften) Error() string { return "this resource was changed or asked after too often" }

// reserveSparingly is reserve for the calls that a change or a wish of a tenant
// leads to.
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

// reserve returns a slot for the next call of the pass.
func (p *pass) reserve(ctx context.Context) (*plivo.Slot, error) {
	if p.booked == nil && p.begun {
		return p.account.Reserve(ctx)
	}
	if p.booked == nil {
		if err := p.book(); err != nil {
			return nil, err
		}
	}
	slot := p.booked
	p.booked, p.begun = nil, true
	slot.Take()
	return slot, nil
}

// book asks for a place, unless that was done before. If there is none yet it
// returns errBooked, and brings the resource back once there is.
func (p *pass) book() error {
	s := p.o.Object
	b, asked := p.r.memory.booking(s)
	if !asked {
		if err := p.account.Book(s.Namespace, func(slot *plivo.Slot) { p.r.granted(s, b, slot) }); err != nil {
			p.r.memory.unbook(b)
			return err
		}
	}
	if p.booked = p.r.memory.takeSlot(s, true); p.booked == nil {
		return errBooked
	}
	return nil
}

// granted is called with the budget locked.
func (r *SubaccountReconciler) granted(s *v1alpha1.Subaccount, b *booking, slot *plivo.Slot) {
	wanted, parked := r.memory.give(b, slot)
	switch {
	case !wanted:
		go slot.Cancel()
		return
	case !parked:
		return // its pass is still there
	}
	go r.queue.addHigh(client.ObjectKeyFromObject(s))
	// Who does not come for it, because it is another instance's by now, must not
	// keep it.
	time.AfterFunc(r.Timeout, func() {
		if slot := r.memory.unbook(b); slot != nil {
			slot.Cancel()
		}
	})
}

// booking returns a resource's booking, a new one if it has none.
func (m *memory) booking(s *v1alpha1.Subaccount) (b *booking, asked bool) {
	m.with(s, func(e *entry) {
		if asked = e.booking != nil; !asked {
			e.booking = &booking{uid: s.UID}
		}
		b = e.booking
		b.at = s.Generation
	})
	return b, asked
}

// give hands a slot over. It is not wanted where the resource is gone; else
// parked says whether somebody has to be told.
func (m *memory) give(b *booking, slot *plivo.Slot) (wanted, parked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[b.uid]; e == nil || e.booking != b {
		return false, false
	}
	b.slot = slot
	return true, b.parked
}

// takeSlot takes the slot that a resource was given, and ends its booking. If
// there is none it may park: the pass ends, and the slot brings it back.
func (m *memory) takeSlot(s *v1alpha1.Subaccount, park bool) (slot *plivo.Slot) {
	m.known(s, func(e *entry) {
		switch b := e.booking; {
		case b == nil:
		case b.slot != nil:
			slot, b.slot, e.booking = b.slot, nil, nil
		default:
			b.parked = b.parked || park
		}
	})
	return slot
}

// parked says whether a resource waits for a place in the budget and for
// nothing else: whatever has happened meanwhile can wait too, but a change of
// what is wanted.
func (m *memory) parked(s *v1alpha1.Subaccount) (parked bool) {
	m.known(s, func(e *entry) {
		b := e.booking
		parked = b != nil && b.parked && b.slot == nil && b.at == s.Generation && e.held == nil
	})
	return parked
}

// unbook ends a booking, and returns the slot that nobody has taken.
func (m *memory) unbook(b *booking) *plivo.Slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[b.uid]; e != nil && e.booking == b {
		e.booking = nil
	}
	slot := b.slot
	b.slot = nil
	return slot
}
