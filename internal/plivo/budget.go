package plivo

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Window is the length of the sliding window in which Plivo counts a main
// account's requests (Plivo's documentation: 300 requests per 5 seconds).
const Window = 5 * time.Second

// Class is the kind of a call that needs a slot.
type Class int

const (
	// ClassInteractive is the first call of a reconcile. It waits in the queue.
	ClassInteractive Class = iota
	// ClassContinued is a further call of a reconcile. It goes first, because it
	// holds a worker while it waits.
	ClassContinued
	// ClassBackground is a page of a sweep. It gets the slots that nobody else
	// needs, and one of ten of the others.
	ClassBackground
	// ClassAwaited is a page of a sweep that a resource waits for. It gets every
	// second slot.
	ClassAwaited
)

// share is n for a class that gets one of n slots at least.
func (c Class) share() int {
	if c == ClassAwaited {
		return 2
	}
	return 10
}

// Budget bounds the requests of one main account: never more than its size in
// any window of 5 s, as the server counts them. The server counts a request
// somewhere between its sending and its response, so a slot is taken before the
// request and becomes free 5 s after the response. It starts paced, because a
// process before this one may just have spent the window.
//
// Reconciles wait in a queue (queue.go); their further calls and sweeps wait in
// Acquire. Why: docs/decisions/005-places-in-the-budget.md.
type Budget struct {
	mu       sync.Mutex
	size     int
	inFlight int
	answered []time.Time // in order: when each slot in use becomes free
	paused   time.Time
	timer    *time.Timer

	queue
	continued, sweeps []*waiter
	others            int // slots given to others since the last one to a sweep
}

// waiter is a call that waits in Acquire.
type waiter struct {
	class Class
	since time.Time
	slot  chan *Slot // buffered
}

// Slot is the right to send one request. Exactly one of Done and Cancel must
// be called, once.
type Slot struct{ budget *Budget }

// NewBudget makes a budget of size requests per Window, paced at first. At most
// share reconciles have a turn at once. It calls wake, which must neither wait
// nor call the budget, for a key that waits in the queue and gets a turn.
func NewBudget(size, share int, wake func(Key)) *Budget {
	b := &Budget{size: size, queue: queue{share: share, wake: wake, places: map[Key]*place{}, tenants: map[string][]Key{}}}
	now := time.Now()
	for i := range size {
		b.answered = append(b.answered, now.Add(Window*time.Duration(i+1)/time.Duration(size)))
	}
	b.timer = time.AfterFunc(Window, func() { b.locked(b.dispatch) })
	return b
}

func (b *Budget) locked(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
}

// Resize changes the size; slots in use stay in use.
func (b *Budget) Resize(size int) {
	b.locked(func() {
		b.size = size
		b.dispatch()
	})
}

// Pause gives no slot before the time until: the whole main account pauses
// after a 429.
func (b *Budget) Pause(until time.Time) {
	b.locked(func() {
		if until.After(b.paused) {
			b.paused = until
		}
		b.dispatch()
	})
}

// PausedUntil returns when the last pause ends or has ended.
func (b *Budget) PausedUntil() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused
}

// Acquire waits for a slot and returns a KindNotSent Error if the context ends
// first.
func (b *Budget) Acquire(ctx context.Context, class Class) (*Slot, error) {
	late := &Error{Kind: KindNotSent, Message: "no free slot in the request budget in time"}
	if ctx.Err() != nil {
		return nil, late
	}
	w := &waiter{class, time.Now(), make(chan *Slot, 1)}
	waiting.WithLabelValues(class.String()).Inc()
	b.locked(func() {
		if class == ClassContinued {
			b.continued = append(b.continued, w)
		} else {
			b.sweeps = append(b.sweeps, w)
		}
		b.dispatch()
	})
	select {
	case slot := <-w.slot:
		return slot, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case slot := <-w.slot: // at the same moment
		return slot, nil
	default:
	}
	isThis := func(other *waiter) bool { return other == w }
	b.continued, b.sweeps = slices.DeleteFunc(b.continued, isThis), slices.DeleteFunc(b.sweeps, isThis)
	waiting.WithLabelValues(class.String()).Dec()
	return nil, late
}

// Done says that the response has come, or that none will: the slot becomes
// free one Window from now.
func (s *Slot) Done() {
	spent.Inc()
	s.budget.locked(func() {
		s.budget.answered = append(s.budget.answered, time.Now().Add(Window))
		s.budget.inFlight--
		s.budget.dispatch()
	})
}

// Cancel says that nothing was sent: the slot is free at once.
func (s *Slot) Cancel() {
	s.budget.locked(func() {
		s.budget.inFlight--
		s.budget.dispatch()
	})
}

func (b *Budget) free() int { return b.size - b.inFlight - len(b.answered) }

// dispatch gives out the free slots and sets the timer for the next one. Slots
// that remain free are for the keys that it has woken.
func (b *Budget) dispatch() {
	now := time.Now()
	free := 0
	for free < len(b.answered) && !b.answered[free].After(now) {
		free++
	}
	b.answered = b.answered[free:]
	if now.Before(b.paused) {
		b.timer.Reset(b.paused.Sub(now))
		return
	}
	for b.free() > 0 && b.next() {
	}
	if len(b.answered) > 0 {
		b.timer.Reset(b.answered[0].Sub(now))
	}
}

// next gives a free slot to whose turn it is, and returns false if there is
// nobody.
func (b *Budget) next() bool {
	switch sweep := len(b.sweeps) > 0; {
	case sweep && b.others+1 >= b.sweeps[0].class.share():
		b.others = 0
		b.sweeps = give(b, b.sweeps)
	case len(b.continued) > 0:
		b.others++
		b.continued = give(b, b.continued)
	case len(b.turns) > 0 && b.hasRoom():
		b.wakeNext()
	case sweep && b.free() > b.count[woken]:
		b.others = 0
		b.sweeps = give(b, b.sweeps)
	default:
		return false
	}
	return true
}

// give gives a slot to the first of those who wait, and returns the others.
func give(b *Budget, all []*waiter) []*waiter {
	b.inFlight++
	class := all[0].class.String()
	waiting.WithLabelValues(class).Dec()
	waited.WithLabelValues(class).Observe(time.Since(all[0].since).Seconds())
	all[0].slot <- &Slot{b}
	return all[1:]
}
