// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Window is the length of the sliding window in which Plivo counts a main
// account's requests. Plivo's documentation allows 300 requests per 5 seconds.
const Window = 5 * time.Second

// Class is the kind of a call that needs a slot.
type Class int

const (
	// ClassInteractive is a reconcile that waits in the queue for its turn.
	ClassInteractive Class = iota
	// ClassContinued is a call of a reconcile that has a turn. It comes first,
	// because it blocks a worker while it waits.
	ClassContinued
	// ClassBackground is a page of a sweep. It gets the slots that no other class
	// needs, and at least one of sweepShare slots.
	ClassBackground
	classes
)

const sweepShare = 4

// Budget limits the requests of one main account: at most size requests in any
// window of 5 s, as Plivo counts them. Plivo may count a request at any time between
// its sending and its response. So a caller acquires a slot before the request, and
// the slot becomes free 5 s after the response.
//
// Reconciles wait for their turn in a queue (queue.go). Their calls and the sweeps
// wait in Acquire. docs/decisions/005-places-in-the-budget.md explains why.
type Budget struct {
	mu          sync.Mutex
	size        int
	inFlight    int
	freeAt      []time.Time // in order: when each slot in use becomes free
	pausedUntil time.Time
	timer       *time.Timer

	queue
	inAcquire      [classes]int
	changed        chan struct{} // closed when Acquire may find a slot
	sinceLastSweep int           // number of slots for other classes since the last slot of a sweep
}

// Slot is the right to send one request. The caller MUST call either Done or Cancel,
// once.
type Slot struct{ budget *Budget }

// NewBudget returns a budget of size requests per Window, whose slots become free at
// the given time. At most share reconciles have a turn at once. The budget calls wake
// for a key in the queue that gets a turn. wake MUST NOT block or call the budget.
func NewBudget(size, share int, freeAt time.Time, wake func(Key)) *Budget {
	b := &Budget{size: size, freeAt: slices.Repeat([]time.Time{freeAt}, size), queue: newQueue(share, wake), changed: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(time.Until(freeAt), func() { b.update(func() {}) })
	return b
}

// Resize changes the size. Slots in use stay in use.
func (b *Budget) Resize(size int) { b.update(func() { b.size = size }) }

// Pause makes the budget give no slot before a time, for all calls of the main
// account: after a 429.
func (b *Budget) Pause(until time.Time) {
	b.update(func() {
		if until.After(b.pausedUntil) {
			b.pausedUntil = until
		}
	})
}

// PausedUntil returns the end of the last pause, in the past or in the future.
func (b *Budget) PausedUntil() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pausedUntil
}

// Acquire waits for a slot. If the context ends first, it returns an Error of
// KindNotSent.
func (b *Budget) Acquire(ctx context.Context, class Class) (*Slot, error) {
	started := time.Now()
	b.addWaiting(class, 1)
	defer b.addWaiting(class, -1)
	for ctx.Err() == nil {
		slot, changed := b.tryAcquire(class, started)
		if slot != nil {
			return slot, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, &Error{Kind: KindNotSent, Message: "timed out waiting for a slot of the request budget"}
}

func (b *Budget) addWaiting(class Class, n int) {
	waiting.WithLabelValues(class.String()).Add(float64(n))
	b.update(func() { b.inAcquire[class] += n })
}

// tryAcquire returns a slot, or a channel that is closed when it is worth another try.
func (b *Budget) tryAcquire(class Class, started time.Time) (*Slot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := b.reservedForSweep()
	reserved := 0 // number of free slots that other calls get first
	switch {
	case class == ClassContinued:
		reserved = due
	case due == 0:
		reserved = b.count[woken] + b.inAcquire[ClassContinued]
	}
	if b.free() > reserved {
		b.inFlight++
		if b.sinceLastSweep++; class == ClassBackground {
			b.sinceLastSweep = 0
		}
		waitSeconds.WithLabelValues(class.String()).Observe(time.Since(started).Seconds())
		return &Slot{b}, nil
	}
	return nil, b.changed
}

// Done ends a request with or without a response: the slot becomes free one Window
// from now.
func (s *Slot) Done() {
	slotsUsed.Inc()
	s.budget.update(func() {
		s.budget.inFlight--
		s.budget.freeAt = append(s.budget.freeAt, time.Now().Add(Window))
	})
}

// Cancel returns a slot whose request was not sent: the slot is free at once.
func (s *Slot) Cancel() { s.budget.update(func() { s.budget.inFlight-- }) }

// update applies a change and then wakes the waiting calls for which slots are free.
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
	case time.Now().Before(b.pausedUntil):
		b.timer.Reset(time.Until(b.pausedUntil))
	case len(b.freeAt) > 0:
		b.timer.Reset(time.Until(b.freeAt[0]))
	}
}

// free returns the number of free slots.
func (b *Budget) free() int {
	now := time.Now()
	for len(b.freeAt) > 0 && !b.freeAt[0].After(now) {
		b.freeAt = b.freeAt[1:]
	}
	if now.Before(b.pausedUntil) {
		return 0
	}
	return b.size - b.inFlight - len(b.freeAt)
}

// reservedForSweep returns 1 if a sweep waits and the next slot is its share, else 0.
func (b *Budget) reservedForSweep() int {
	if b.inAcquire[ClassBackground] > 0 && b.sinceLastSweep >= sweepShare-1 {
		return 1
	}
	return 0
}
