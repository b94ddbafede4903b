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

// Class orders those who wait for a slot.
type Class int

const (
	// ClassInteractive is for what a person waits for.
	ClassInteractive Class = iota
	// ClassBackground is for sweeps. Of every backgroundShare slots that are
	// given while others wait too, it gets one.
	ClassBackground
	// ClassContinued is for the further calls of what has begun: who waits for
	// them keeps others from being worked on.
	ClassContinued
)

const backgroundShare = 10

// Budget bounds the requests of one main account: never more than its size in
// any window of 5 s, as the server counts them. The server counts a request
// somewhere between its sending and its answer, so a slot is taken before the
// request and becomes free 5 s after the answer. It starts paced, because a
// process before this one may just have spent the window.
//
// What has begun goes first, and then what a person waits for, in turn by
// tenant, so that no tenant's work waits for all of another's.
type Budget struct {
	mu       sync.Mutex
	size     int
	inFlight int
	oneByOne bool        // no more than one in flight
	answered []time.Time // in order: when each slot in use becomes free
	paused   time.Time
	timer    *time.Timer

	continued  []*waiter
	tenants    map[string][]*waiter // of the interactive class
	turns      []string             // the tenants that wait, next one first
	background []*waiter
	grants     int // to others since the last one to the background
	promised   int // given to interactive ones and not yet taken up
}

// mayPromise bounds how many slots lie with those who have not come for them
// yet, half of all at most: what has begun must find places, or who has a slot
// and waits for a worker and who is a worker and waits for a slot would wait
// for each other.
func (b *Budget) mayPromise() bool { return b.promised < min(mostPromised, max(1, b.size/2)) }

const mostPromised = 16

type waiter struct {
	class   Class
	tenant  string
	since   time.Time
	granted func(*Slot)
}

// Slot is the right to send one request. Exactly one of Done and Cancel must
// be called, once.
type Slot struct {
	budget   *Budget
	promised bool
}

// Take says that the slot is about to be used.
func (s *Slot) Take() {
	b := s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.promised {
		s.promised = false
		b.promised--
		b.grant()
	}
}

// NewBudget makes a budget of size requests per Window, paced at first.
func NewBudget(size int) *Budget {
	b := &Budget{size: size, tenants: map[string][]*waiter{}}
	now := time.Now()
	for i := range size {
		b.answered = append(b.answered, now.Add(Window*time.Duration(i+1)/time.Duration(size)))
	}
	b.timer = time.AfterFunc(Window, b.wake)
	return b
}

// Resize changes the size; slots in use stay in use.
func (b *Budget) Resize(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size = size
	b.grant()
}

// Pause gives no slot before the time until: the whole main account pauses
// after a 429.
func (b *Budget) Pause(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.paused) {
		b.paused = until
	}
}

// OneByOne lets, while it is on, no more than one call be under way: of a main
// account whose calls all fail, the others would wait for their time limits in
// vain, and keep other accounts' work from being done.
func (b *Budget) OneByOne(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.oneByOne = on
	b.grant()
}

// Paused is how long no slot will be given, 0 if some may be.
func (b *Budget) Paused() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.paused))
}

// Acquire waits for a slot and returns a KindNotSent Error if the context ends
// first. Tenants, named by any string, take turns within the interactive class.
// Who waits in other classes also takes the slot that comes first.
func (b *Budget) Acquire(ctx context.Context, class Class, tenant string, also ...Class) (*Slot, error) {
	late := &Error{Kind: KindNotSent, Message: "no free place in the request budget in time"}
	if ctx.Err() != nil {
		return nil, late
	}
	classes := append([]Class{class}, also...)
	got := make(chan *Slot, len(classes))
	cancels := make([]func() bool, len(classes))
	for i, c := range classes {
		cancels[i] = b.Book(c, tenant, func(s *Slot) { got <- s })
	}
	var slot *Slot
	select {
	case slot = <-got:
	case <-ctx.Done():
	}
	granted := 0
	for _, cancel := range cancels {
		if !cancel() {
			granted++
		}
	}
	if slot != nil {
		granted--
	}
	for range granted { // at the same moment: given back unused
		(<-got).Cancel()
	}
	if slot == nil {
		return nil, late
	}
	slot.Take()
	return slot, nil
}

// Book asks for a slot without waiting for it: granted is called with it,
// perhaps before Book returns. It is called with the budget locked, and so must
// neither wait nor call the budget. Cancel takes the wish back, and says
// whether there was still time for that.
func (b *Budget) Book(class Class, tenant string, granted func(*Slot)) (cancel func() bool) {
	w := &waiter{class: class, tenant: tenant, since: time.Now(), granted: granted}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch class {
	case ClassBackground:
		b.background = append(b.background, w)
	case ClassContinued:
		b.continued = append(b.continued, w)
	default:
		if len(b.tenants[tenant]) == 0 {
			b.turns = append(b.turns, tenant)
		}
		b.tenants[tenant] = append(b.tenants[tenant], w)
	}
	waiting.WithLabelValues(class.String()).Inc()
	b.grant()
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.leave(w)
	}
}

// leave takes one who has given up out of the queues: while the budget pauses,
// many may come and go. It returns whether it was there.
func (b *Budget) leave(w *waiter) bool {
	queue := b.tenants[w.tenant]
	switch w.class {
	case ClassBackground:
		queue = b.background
	case ClassContinued:
		queue = b.continued
	}
	i := slices.Index(queue, w)
	if i < 0 {
		return false
	}
	queue = slices.Delete(queue, i, i+1)
	switch w.class {
	case ClassBackground:
		b.background = queue
	case ClassContinued:
		b.continued = queue
	default:
		b.tenants[w.tenant] = queue
		if len(queue) == 0 {
			delete(b.tenants, w.tenant)
			b.turns = slices.DeleteFunc(b.turns, func(other string) bool { return other == w.tenant })
		}
	}
	waiting.WithLabelValues(w.class.String()).Dec()
	return true
}

// Done says that the answer has come, or that none will: the slot becomes free
// one Window from now.
func (s *Slot) Done() { s.release(true) }

// Cancel says that nothing was sent: the slot is free at once.
func (s *Slot) Cancel() { s.release(false) }

func (s *Slot) release(used bool) {
	b := s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
	if s.promised {
		s.promised = false
		b.promised--
	}
	if used {
		spent.Inc()
		b.answered = append(b.answered, time.Now().Add(Window))
	}
	b.grant()
}

func (b *Budget) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grant()
}

// grant gives out what is free and sets the timer for what comes free next.
func (b *Budget) grant() {
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
	for b.inFlight+len(b.answered) < b.size && (b.inFlight == 0 || !b.oneByOne) {
		w := b.next()
		if w == nil {
			break
		}
		b.inFlight++
		waiting.WithLabelValues(w.class.String()).Dec()
		waited.WithLabelValues(w.class.String()).Observe(now.Sub(w.since).Seconds())
		promised := w.class == ClassInteractive
		if promised {
			b.promised++
		}
		w.granted(&Slot{b, promised})
	}
	if len(b.answered) > 0 {
		b.timer.Reset(b.answered[0].Sub(now))
	}
}

// next takes the waiter whose turn it is off the queues, nil if nobody waits.
func (b *Budget) next() *waiter {
	interactive := len(b.turns) > 0 && b.mayPromise()
	others := len(b.continued) > 0 || interactive
	if len(b.background) > 0 && (b.grants >= backgroundShare-1 || !others) {
		w := b.background[0]
		b.background = b.background[1:]
		b.grants = 0
		return w
	}
	if !others {
		return nil
	}
	b.grants++
	if len(b.continued) > 0 {
		w := b.continued[0]
		b.continued = b.continued[1:]
		return w
	}
	tenant := b.turns[0]
	queue := b.tenants[tenant]
	b.turns = b.turns[1:]
	if len(queue) == 1 {
		delete(b.tenants, tenant)
	} else {
		b.tenants[tenant] = queue[1:]
		b.turns = append(b.turns, tenant)
	}
	return queue[0]
}
