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
	// given while both classes wait, it gets one.
	ClassBackground
)

const backgroundShare = 10

// Budget bounds the requests of one main account: never more than its size in
// any window of 5 s, as the server counts them. The server counts a request
// somewhere between its sending and its answer, so a slot is taken before the
// request and becomes free 5 s after the answer. It starts paced, because a
// process before this one may just have spent the window.
//
// Waiters of the first class go first, in turn by tenant, so that no tenant's
// work waits for all of another's.
type Budget struct {
	mu       sync.Mutex
	size     int
	inFlight int
	answered []time.Time // in order: when each slot in use becomes free
	paused   time.Time
	timer    *time.Timer

	tenants    map[string][]*waiter // of the first class
	turns      []string             // the tenants that wait, next one first
	background []*waiter
	grants     int // to the first class since the last one to the background
}

type waiter struct {
	granted chan struct{}
}

// Slot is the right to send one request. Exactly one of Done and Cancel must
// be called, once.
type Slot struct {
	budget *Budget
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

// Paused is how long no slot will be given, 0 if some may be.
func (b *Budget) Paused() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.paused))
}

// Acquire waits for a slot and returns a KindNotSent Error if the context ends
// first. Tenants, named by any string, take turns within the first class.
func (b *Budget) Acquire(ctx context.Context, class Class, tenant string) (*Slot, error) {
	late := &Error{Kind: KindNotSent, Message: "no free place in the request budget in time"}
	if ctx.Err() != nil {
		return nil, late
	}
	w := &waiter{granted: make(chan struct{})}
	b.mu.Lock()
	if class == ClassBackground {
		b.background = append(b.background, w)
	} else {
		if len(b.tenants[tenant]) == 0 {
			b.turns = append(b.turns, tenant)
		}
		b.tenants[tenant] = append(b.tenants[tenant], w)
	}
	b.grant()
	b.mu.Unlock()

	select {
	case <-w.granted:
		return &Slot{b}, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted: // at the same moment: the slot is given back unused
		b.inFlight--
		b.grant()
	default:
		b.leave(w, class, tenant)
	}
	return nil, late
}

// leave takes one who has given up out of the queues: while the budget pauses,
// many may come and go.
func (b *Budget) leave(w *waiter, class Class, tenant string) {
	same := func(other *waiter) bool { return other == w }
	if class == ClassBackground {
		b.background = slices.DeleteFunc(b.background, same)
		return
	}
	b.tenants[tenant] = slices.DeleteFunc(b.tenants[tenant], same)
	if len(b.tenants[tenant]) == 0 {
		delete(b.tenants, tenant)
		b.turns = slices.DeleteFunc(b.turns, func(other string) bool { return other == tenant })
	}
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
	if used {
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
	for b.inFlight+len(b.answered) < b.size {
		w := b.next()
		if w == nil {
			return
		}
		b.inFlight++
		close(w.granted)
	}
	if len(b.answered) > 0 {
		b.timer.Reset(b.answered[0].Sub(now))
	}
}

// next takes the waiter whose turn it is off the queues, nil if nobody waits.
func (b *Budget) next() *waiter {
	if len(b.background) > 0 && (b.grants >= backgroundShare-1 || len(b.turns) == 0) {
		w := b.background[0]
		b.background = b.background[1:]
		b.grants = 0
		return w
	}
	if len(b.turns) == 0 {
		return nil
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
	b.grants++
	return queue[0]
}
