// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"slices"
	"time"
)

// queue is where reconciles wait for a slot for their first call. It has only keys
// and reserves no slots for them: a woken key has to request its turn again.
//
//	RequestTurn: no slot ──> queued ──> woken ──RequestTurn──> started ──> EndTurn
//
// A key is queued if and only if its last reconcile ended because there was no slot:
// every other reconcile ends with EndTurn. So deleted resources do not stay in the
// queue, and a woken key blocks a slot for one reconcile at most.
type queue struct {
	maxTurns int // how many keys may have a turn at once: a share of the workers
	wake     func(Key)

	places         map[Key]*place
	count          [3]int           // number of places, by state
	namespaces     map[string][]Key // queued keys
	namespaceOrder []string         // namespaces with queued keys, the next one first
}

// Key names a resource. Namespaces take turns in the queue.
type Key struct{ Namespace, Name string }

type place struct {
	state state
	since time.Time // when the key was queued, or started without waiting
}

type state int

const (
	queued  state = iota
	woken         // has a turn, and has not requested it yet
	started       // has a turn, and has requested it
)

func newQueue(share int, wake func(Key)) queue {
	return queue{maxTurns: share, wake: wake, places: map[Key]*place{}, namespaces: map[string][]Key{}}
}

// RequestTurn says whether a reconcile may start its calls, and how long the key has
// waited. If it may not, the key is in the queue and the reconcile has to end. A later
// reconcile of the key, after its wake or after a change, requests the turn again; the
// key keeps its place until then. After any other reconcile the caller MUST call
// EndTurn.
func (b *Budget) RequestTurn(key Key) (turn bool, waited time.Duration) {
	b.update(func() {
		b.wakeAll() // keys in the queue come first
		p := b.places[key]
		switch {
		case p == nil && !b.hasRoom():
			b.enqueue(key)
			return
		case p == nil:
			p = &place{state: started, since: time.Now()}
			b.places[key] = p
			b.count[started]++
		}
		if waited = time.Since(p.since); p.state == queued {
			return
		}
		b.setState(p, started)
		waitSeconds.WithLabelValues(ClassInteractive.String()).Observe(waited.Seconds())
		turn = true
	})
	return turn, waited
}

// EndTurn ends a key's turn, or removes it from the queue.
func (b *Budget) EndTurn(key Key) {
	b.update(func() {
		p := b.places[key]
		if p == nil {
			return
		}
		if p.state == queued {
			b.dequeue(key)
		}
		b.count[p.state]--
		delete(b.places, key)
	})
}

// hasRoom says whether another key may have a turn. A turn needs a free slot. The share
// of the workers limits the number of turns. So does half the size of the budget, so that
// both calls of each creation fit into one window.
func (b *Budget) hasRoom() bool {
	reserved := b.count[woken] + b.inAcquire[ClassContinued] + b.reservedForSweep()
	return b.free() > reserved && b.count[woken]+b.count[started] < min(b.maxTurns, max(1, b.size/2))
}

// wakeAll gives turns to the keys in the queue while there is room.
func (b *Budget) wakeAll() {
	for len(b.namespaceOrder) > 0 && b.hasRoom() {
		namespace := b.namespaceOrder[0]
		key := b.namespaces[namespace][0]
		if b.dequeue(key); len(b.namespaces[namespace]) > 0 {
			b.namespaceOrder = append(b.namespaceOrder[1:], namespace)
		}
		b.setState(b.places[key], woken)
		b.wake(key)
	}
}

func (b *Budget) setState(p *place, to state) {
	b.count[p.state]--
	b.count[to]++
	p.state = to
}

func (b *Budget) enqueue(key Key) {
	waiting.WithLabelValues(ClassInteractive.String()).Inc()
	b.places[key] = &place{state: queued, since: time.Now()}
	b.count[queued]++
	b.namespaces[key.Namespace] = append(b.namespaces[key.Namespace], key)
	if !slices.Contains(b.namespaceOrder, key.Namespace) {
		b.namespaceOrder = append(b.namespaceOrder, key.Namespace)
	}
}

func (b *Budget) dequeue(key Key) {
	waiting.WithLabelValues(ClassInteractive.String()).Dec()
	left := without(b.namespaces[key.Namespace], key)
	if b.namespaces[key.Namespace] = left; len(left) == 0 {
		delete(b.namespaces, key.Namespace)
		b.namespaceOrder = without(b.namespaceOrder, key.Namespace)
	}
}

func without[T comparable](all []T, one T) []T {
	i := slices.Index(all, one)
	return slices.Delete(all, i, i+1)
}
