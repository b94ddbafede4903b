package plivo

import (
	"slices"
	"time"
)

// queue is where reconciles wait for a slot for their first call. It holds keys
// only, and reserves nothing for them: a woken key has to ask again.
//
//	Ask: no slot ──> queued ──> woken ──Ask──> started ──> Leave
//	                   ^          │
//	                   └──Ask─────┘ (another call took the slot: back to the front)
//
// A key is queued if and only if its last reconcile ended for want of a slot:
// every other reconcile ends with Leave. So deleted resources do not stay, and a
// woken key keeps others from a slot until the end of its reconcile at most.
type queue struct {
	share int // of the workers: how many keys may have a turn at once
	wake  func(Key)

	places  map[Key]*place
	count   [3]int           // of places, by state
	tenants map[string][]Key // queued keys
	turns   []string         // the tenants that have queued keys, next one first
}

// Key names a resource. Tenants take turns in the queue.
type Key struct{ Tenant, Name string }

type place struct {
	state state
	since time.Time
}

type state int

const (
	queued  state = iota
	woken         // has a turn, and is about to ask
	started       // has a turn, and has had its first slot
)

func newQueue(share int, wake func(Key)) queue {
	return queue{share: share, wake: wake, places: map[Key]*place{}, tenants: map[string][]Key{}}
}

// Ask returns the slot for the first call of a reconcile. If it returns nil the
// key is in the queue, and the reconcile has to end: a later one, for which the
// key is woken or which a change causes, asks again and finds the key's place as
// it was. After a reconcile that did anything else than ask in vain the caller
// MUST call Leave.
func (b *Budget) Ask(key Key) (slot *Slot) {
	b.change(func() {
		b.wakeAll() // those who came before
		p := b.places[key]
		switch {
		case p == nil && b.hasRoom():
			p = &place{state: started, since: time.Now()}
			b.places[key] = p
			b.count[started]++
		case p == nil:
			b.enqueue(key, &place{since: time.Now()})
			return
		case p.state == queued:
			return
		case b.free() <= 0:
			b.count[p.state]--
			b.enqueue(key, p)
			b.toFront(key)
			return
		}
		b.setState(p, started)
		slot = b.take(ClassInteractive, p.since)
	})
	return slot
}

// Leave ends a key's turn, or its wait.
func (b *Budget) Leave(key Key) {
	b.change(func() {
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

// hasRoom says whether another key may have a turn. As many have one as slots
// are free; as the share of the workers; and as both calls of a creation fit
// into one window, so that what has begun need not wait for the next.
func (b *Budget) hasRoom() bool {
	before := b.count[woken] + b.inAcquire[ClassContinued] + b.dueSweeps()
	return b.free() > before && b.count[woken]+b.count[started] < min(b.share, max(1, b.size/2))
}

// wakeAll gives turns to the keys in the queue while there is room.
func (b *Budget) wakeAll() {
	for len(b.turns) > 0 && b.hasRoom() {
		tenant := b.turns[0]
		key := b.tenants[tenant][0]
		if b.dequeue(key); len(b.tenants[tenant]) > 0 {
			b.turns = append(b.turns[1:], tenant)
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

// enqueue puts a key, which is counted nowhere, behind its tenant's others.
func (b *Budget) enqueue(key Key, p *place) {
	waiting.WithLabelValues(ClassInteractive.String()).Inc()
	p.state, b.places[key] = queued, p
	b.count[queued]++
	b.tenants[key.Tenant] = append(b.tenants[key.Tenant], key)
	if !slices.Contains(b.turns, key.Tenant) {
		b.turns = append(b.turns, key.Tenant)
	}
}

func (b *Budget) dequeue(key Key) {
	waiting.WithLabelValues(ClassInteractive.String()).Dec()
	left := without(b.tenants[key.Tenant], key)
	if b.tenants[key.Tenant] = left; len(left) == 0 {
		delete(b.tenants, key.Tenant)
		b.turns = without(b.turns, key.Tenant)
	}
}

// toFront makes a queued key the next one.
func (b *Budget) toFront(key Key) {
	b.tenants[key.Tenant] = slices.Insert(without(b.tenants[key.Tenant], key), 0, key)
	b.turns = slices.Insert(without(b.turns, key.Tenant), 0, key.Tenant)
}

func without[T comparable](all []T, one T) []T {
	i := slices.Index(all, one)
	return slices.Delete(all, i, i+1)
}
