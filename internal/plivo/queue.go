package plivo

import (
	"slices"
	"time"
)

// queue is where reconciles wait for a slot for their first call. It holds keys
// only, and reserves no slots for them: a woken key has to ask again.
//
//	Ask: no slot ──> queued ──> woken ──Ask──> started ──> Leave
//
// A key is queued if and only if its last reconcile ended for want of a slot:
// every other reconcile ends with Leave. So deleted resources do not stay, and a
// woken key keeps others from a slot until the end of its reconcile at most.
type queue struct {
	maxTurns int // of the workers: how many keys may have a turn at once
	wake     func(Key)

	places     map[Key]*place
	count      [3]int           // of places, by state
	namespaces map[string][]Key // queued keys
	turns      []string         // the tenants that have queued keys, next one first
}

// Key names a resource. Tenants take turns in the queue.
type Key struct{ Namespace, Name string }

type place struct {
	state state
	since time.Time
}

type state int

const (
	queued  state = iota
	woken         // has a turn, and is about to ask
	started       // has a turn, and has asked
)

func newQueue(share int, wake func(Key)) queue {
	return queue{maxTurns: share, wake: wake, places: map[Key]*place{}, namespaces: map[string][]Key{}}
}

// RequestTurn says whether a reconcile may begin with its calls. If not, the key is in
// the queue and the reconcile has to end: a later one, for which the key is
// woken or which a change causes, asks again and finds the key's place as it
// was. After a reconcile that did anything else than ask in vain the caller MUST
// call Leave.
func (b *Budget) RequestTurn(key Key) (turn bool) {
	b.update(func() {
		b.wakeAll() // those who came before
		p := b.places[key]
		switch {
		case p == nil && !b.hasRoom():
			b.enqueue(key)
			return
		case p == nil:
			p = &place{state: started, since: time.Now()}
			b.places[key] = p
			b.count[started]++
		case p.state == queued:
			return
		}
		b.setState(p, started)
		waitSeconds.WithLabelValues(ClassInteractive.String()).Observe(time.Since(p.since).Seconds())
		turn = true
	})
	return turn
}

// EndTurn ends a key's turn, or its wait.
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

// hasRoom says whether another key may have a turn. As many have one as slots
// are free; as the share of the workers; and as both calls of a creation fit
// into one window, so that what has begun need not wait for the next.
func (b *Budget) hasRoom() bool {
	before := b.count[woken] + b.inAcquire[ClassContinued] + b.dueSweeps()
	return b.free() > before && b.count[woken]+b.count[started] < min(b.maxTurns, max(1, b.size/2))
}

// wakeAll gives turns to the keys in the queue while there is room.
func (b *Budget) wakeAll() {
	for len(b.turns) > 0 && b.hasRoom() {
		tenant := b.turns[0]
		key := b.namespaces[tenant][0]
		if b.dequeue(key); len(b.namespaces[tenant]) > 0 {
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

func (b *Budget) enqueue(key Key) {
	waiting.WithLabelValues(ClassInteractive.String()).Inc()
	b.places[key] = &place{state: queued, since: time.Now()}
	b.count[queued]++
	b.namespaces[key.Namespace] = append(b.namespaces[key.Namespace], key)
	if !slices.Contains(b.turns, key.Namespace) {
		b.turns = append(b.turns, key.Namespace)
	}
}

func (b *Budget) dequeue(key Key) {
	waiting.WithLabelValues(ClassInteractive.String()).Dec()
	left := without(b.namespaces[key.Namespace], key)
	if b.namespaces[key.Namespace] = left; len(left) == 0 {
		delete(b.namespaces, key.Namespace)
		b.turns = without(b.turns, key.Namespace)
	}
}

func without[T comparable](all []T, one T) []T {
	i := slices.Index(all, one)
	return slices.Delete(all, i, i+1)
}
