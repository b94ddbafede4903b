package plivo

import (
	"context"
	"sync"
	"time"
)

// Window is the length of the sliding window in which Plivo counts a main
// account's requests (Plivo's documentation: 300 requests per 5 seconds).
const Window = 5 * time.Second

// Class is the kind of a call that needs a slot.
type Class int

const (
	// ClassInteractive is a reconcile that waits in the queue for its turn.
	ClassInteractive Class = iota
	// ClassContinued is a call of a reconcile that has a turn. It goes first,
	// because it holds a worker while it waits.
	ClassContinued
	// ClassBackground is a page of a sweep. It gets the slots that nobody else
	// needs, and one of every sweepShare.
	ClassBackground
	classes
)

const sweepShare = 4

// Budget bounds the requests of one main account: never more than its size in
// any window of 5 s, as the server counts them. The server counts a request
// somewhere between its sending and its response, so a slot is taken before the
// request and becomes free 5 s after the response. It starts paced, because a
// process before this one may just have spent the window.
//
// Reconciles wait for their turn in a queue (queue.go); their calls and sweeps
// wait in Acquire. Why: docs/decisions/005-places-in-the-budget.md.
type Budget struct {
	mu       sync.Mutex
	size     int
	inFlight int
	freeAt   []time.Time // in order: when each slot in use becomes free
	paused   time.Time
	timer    *time.Timer

	queue
	inAcquire      [classes]int
	changed        chan struct{} // closed when Acquire may find a slot
	sinceLastSweep int           // slots given to others since the last one to a sweep
}

// Slot is the right to send one request. Exactly one of Done and Cancel must
// be called, once.
type Slot struct{ budget *Budget }

// NewBudget makes a budget of size requests per Window, paced at first. At most
// share reconciles have a turn at once. It calls wake, which must neither wait
// nor call the budget, for a key that waits in the queue and gets a turn.
func NewBudget(size, share int, wake func(Key)) *Budget {
	b := &Budget{size: size, queue: newQueue(share, wake), changed: make(chan struct{})}
	now := time.Now()
	for i := range size {
		b.freeAt = append(b.freeAt, now.Add(Window*time.Duration(i+1)/time.Duration(size)))
	}
	b.timer = time.AfterFunc(Window, func() { b.update(func() {}) })
	return b
}

// Resize changes the size; slots in use stay in use.
func (b *Budget) Resize(size int) { b.update(func() { b.size = size }) }

// Pause gives no slot before the time until: the whole main account pauses
// after a 429.
func (b *Budget) Pause(until time.Time) {
	b.update(func() {
		if until.After(b.paused) {
			b.paused = until
		}
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
	since := time.Now()
	b.wait(class, 1)
	defer b.wait(class, -1)
	for ctx.Err() == nil {
		slot, changed := b.tryAcquire(class, since)
		if slot != nil {
			return slot, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, &Error{Kind: KindNotSent, Message: "no free slot in the request budget in time"}
}

func (b *Budget) wait(class Class, more int) {
	waiting.WithLabelValues(class.String()).Add(float64(more))
	b.update(func() { b.inAcquire[class] += more })
}

func (b *Budget) tryAcquire(class Class, since time.Time) (*Slot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := b.dueSweeps()
	before := 0 // slots that are for others
	switch {
	case class == ClassContinued:
		before = due
	case due == 0:
		before = b.count[woken] + b.inAcquire[ClassContinued]
	}
	if b.free() > before {
		b.inFlight++
		if b.sinceLastSweep++; class == ClassBackground {
			b.sinceLastSweep = 0
		}
		waitSeconds.WithLabelValues(class.String()).Observe(time.Since(since).Seconds())
		return &Slot{b}, nil
	}
	return nil, b.changed
}

// Done says that the response has come, or that none will: the slot becomes
// free one Window from now.
func (s *Slot) Done() {
	slotsUsed.Inc()
	s.budget.update(func() {
		s.budget.inFlight--
		s.budget.freeAt = append(s.budget.freeAt, time.Now().Add(Window))
	})
}

// Cancel says that nothing was sent: the slot is free at once.
func (s *Slot) Cancel() { s.budget.update(func() { s.budget.inFlight-- }) }

// update makes a change, and then wakes those for whom slots are free.
func (b *Budget) update(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
	b.wakeAll()
	if b.free() > 0 {
		close(b.changed)
		b.changed = make(chan struct{})
	}
	switch {
	case time.Now().Before(b.paused):
		b.timer.Reset(time.Until(b.paused))
	case len(b.freeAt) > 0:
		b.timer.Reset(time.Until(b.freeAt[0]))
	}
}

// free returns how many slots are free.
func (b *Budget) free() int {
	now := time.Now()
	for len(b.freeAt) > 0 && !b.freeAt[0].After(now) {
		b.freeAt = b.freeAt[1:]
	}
	if now.Before(b.paused) {
		return 0
	}
	return b.size - b.inFlight - len(b.freeAt)
}

// dueSweeps is 1 if a sweep waits whose share is due.
func (b *Budget) dueSweeps() int {
	if b.inAcquire[ClassBackground] > 0 && b.sinceLastSweep >= sweepShare-1 {
		return 1
	}
	return 0
}
