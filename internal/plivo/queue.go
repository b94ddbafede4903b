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
// A key is in the queue if and only if its last reconcile ended for want of a
// slot: every other reconcile ends with Leave. So deleted resources do not stay,
// and a woken key never keeps others from a slot for longer than until the end
// of its reconcile.
type queue struct {
	share int // of the workers: how many keys may have a turn at once
	wake  func(Key)

	places  map[Key]*place
	tenants map[string][]Key // queued keys
	turns   []string         // the tenants that have queued keys, next one first
	count   [3]int           // of places, by state
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

// Ask returns the slot for the first call of a reconcile. If it returns nil the
// key is in the queue, and the reconcile has to end: a later one, for which the
// key is woken or which a change causes, asks again. A key keeps its place until
// it has a turn. After a reconcile that did anything else than ask in vain the
// caller MUST call Leave.
func (b *Budget) Ask(key Key) *Slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dispatch() // those who wait first
	p := b.places[key]
	switch {
	case p == nil && !b.hasRoom():
		b.enqueue(key, &place{since: time.Now()}, len(b.tenants[key.Tenant]))
		return nil
	case p == nil:
		p = &place{state: started, since: time.Now()}
		b.places[key] = p
		b.count[started]++
	case p.state == queued:
		return nil
	case b.free() <= 0 || time.Now().Before(b.paused):
		b.count[p.state]--
		b.turns = slices.DeleteFunc(b.turns, func(t string) bool { return t == key.Tenant })
		b.turns = slices.Insert(b.turns, 0, key.Tenant)
		b.enqueue(key, p, 0)
		return nil
	default:
		b.setState(p, started)
	}
	b.inFlight++
	b.others++
	waited.WithLabelValues(ClassInteractive.String()).Observe(time.Since(p.since).Seconds())
	return &Slot{b}
}

// Leave ends a key's turn, or its wait.
func (b *Budget) Leave(key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[key]
	if p == nil {
		return
	}
	if p.state == queued {
		keys := b.tenants[key.Tenant]
		b.dequeue(key.Tenant, slices.Index(keys, key))
	}
	delete(b.places, key)
	b.count[p.state]--
	b.dispatch()
}

// hasRoom says whether another key may have a turn. As many have one as slots
// are free; as the share of the workers; and as both calls of a creation fit
// into one window, so that what has begun need not wait for the next.
func (b *Budget) hasRoom() bool {
	turns := b.count[woken] + b.count[started]
	return !time.Now().Before(b.paused) && b.free() > b.count[woken] && turns < min(b.share, max(1, b.size/2))
}

// wakeNext gives the next key in the queue a turn.
func (b *Budget) wakeNext() {
	tenant := b.turns[0]
	key := b.tenants[tenant][0]
	b.dequeue(tenant, 0)
	if len(b.turns) > 0 && b.turns[0] == tenant {
		b.turns = append(b.turns[1:], tenant)
	}
	b.setState(b.places[key], woken)
	b.wake(key)
}

func (b *Budget) setState(p *place, to state) {
	b.count[p.state]--
	b.count[to]++
	p.state = to
}

// enqueue puts a key, which is counted nowhere, at index at of its tenant's keys.
func (b *Budget) enqueue(key Key, p *place, at int) {
	p.state = queued
	b.places[key] = p
	b.count[queued]++
	waiting.WithLabelValues(ClassInteractive.String()).Inc()
	if !slices.Contains(b.turns, key.Tenant) {
		b.turns = append(b.turns, key.Tenant)
	}
	b.tenants[key.Tenant] = slices.Insert(b.tenants[key.Tenant], at, key)
}

// dequeue takes one key of a tenant out of the queue.
func (b *Budget) dequeue(tenant string, at int) {
	waiting.WithLabelValues(ClassInteractive.String()).Dec()
	left := slices.Delete(b.tenants[tenant], at, at+1)
	if b.tenants[tenant] = left; len(left) == 0 {
		delete(b.tenants, tenant)
		b.turns = slices.DeleteFunc(b.turns, func(other string) bool { return other == tenant })
	}
}
