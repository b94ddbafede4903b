// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// span is one request, from its sending to the end of its response.
type span struct{ sent, ended time.Time }

// fullest returns the largest number of requests that a server can count in one window,
// if it counts each at any time between its sending and its response.
func fullest(spans []span) int {
	most := 0
	for _, end := range spans {
		n := 0
		for _, s := range spans {
			if !s.sent.After(end.sent) && s.ended.After(end.sent.Add(-Window)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func acquire(t *testing.T, b *Budget, class Class) *Slot {
	t.Helper()
	slot, err := b.Acquire(t.Context(), class)
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// freeBudget returns a budget whose slots are free.
func freeBudget(size int) *Budget { return NewBudget(size, size, time.Now(), nil) }

func TestAcquire_ManyCalls_NeverExceedSizeInAnyWindow(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 0))
			upTo := func(d time.Duration) time.Duration { return time.Duration(dice.Int64N(int64(d))) }
			size, slow := 1+dice.IntN(12), time.Duration(1+dice.IntN(8000))*time.Millisecond
			b := freeBudget(size)
			var (
				mu    sync.Mutex
				spans []span
				all   sync.WaitGroup
			)
			for i := range 20 * size {
				arrives, takes := upTo(20*time.Second), upTo(slow)
				class := ClassContinued + Class(dice.IntN(2))
				cancelled, timeout := dice.IntN(5) == 0, upTo(10*time.Second)
				all.Go(func() {
					time.Sleep(arrives)
					ctx := t.Context()
					if cancelled {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, timeout)
						defer cancel()
					}
					slot, err := b.Acquire(ctx, class)
					switch {
					case err != nil && IsKind(err, KindNotSent) && cancelled:
						return
					case err != nil:
						t.Error(err)
						return
					case i%7 == 0:
						slot.Cancel()
						return
					}
					sent := time.Now()
					time.Sleep(takes)
					mu.Lock()
					spans = append(spans, span{sent, time.Now()})
					mu.Unlock()
					slot.Done()
				})
			}
			all.Wait()
			if n := fullest(spans); n > size {
				t.Errorf("seed %d: got %d requests in one window, want at most %d", seed, n, size)
			}
			if b.inAcquire != [classes]int{} || b.inFlight != 0 {
				t.Errorf("seed %d: got state left behind: %+v", seed, b)
			}
		})
	}
}

func TestNewBudget_AfterAnotherProcess_SharesItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 10
		var spans []span
		use := func(b *Budget) {
			slot := acquire(t, b, ClassContinued)
			spans = append(spans, span{time.Now(), time.Now()})
			slot.Done()
		}
		earlier := freeBudget(size)
		for range size {
			use(earlier)
		}
		time.Sleep(time.Second) // the process ends, another one starts
		b := NewBudget(size, size, time.Now().Add(Window), nil)
		for range size {
			use(b)
		}
		if n := fullest(spans); n > size {
			t.Errorf("got %d requests of two processes in one window, want at most %d", n, size)
		}
	})
}

func TestSlot_DoneOrCancelled_IsFreeAfterWindowOrAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := freeBudget(1)
		slot := acquire(t, b, ClassContinued)
		time.Sleep(3 * time.Second)
		slot.Done()
		done := time.Now()
		slot = acquire(t, b, ClassContinued)
		if got := time.Since(done); got != Window {
			t.Errorf("got the slot free after %v, want %v", got, Window)
		}
		slot.Cancel()
		acquire(t, b, ClassContinued)
		if got := time.Since(done); got != Window {
			t.Errorf("got the cancelled slot free after %v, want at once", got-Window)
		}
	})
}

// order lets calls wait for one slot: continued calls ("c") and sweeps ("s"). It
// returns the order in which they get the slot.
func order(t *testing.T, calls string) string {
	t.Helper()
	b := freeBudget(1)
	first := acquire(t, b, ClassContinued)
	var (
		served strings.Builder
		all    sync.WaitGroup
	)
	for _, call := range calls {
		class := map[rune]Class{'c': ClassContinued, 's': ClassBackground}[call]
		all.Go(func() {
			slot := acquire(t, b, class)
			served.WriteRune(call) // one at a time: there is one slot
			slot.Cancel()
		})
		synctest.Wait()
	}
	b.sinceLastSweep = 0
	first.Cancel()
	all.Wait()
	return served.String()
}

func TestAcquire_SeveralClassesWait_GetTheirShares(t *testing.T) {
	cases := []struct{ name, calls, want string }{
		{"sweeps come last", "ssccc", "cccss"},
		{"sweeps get one of four", "sss" + strings.Repeat("c", 8), "cccscccsccs"},
		{"no sweep waits", strings.Repeat("c", 12), strings.Repeat("c", 12)},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			if got := order(t, c.calls); got != c.want {
				t.Errorf("%s: %q: got order %q, want %q", c.name, c.calls, got, c.want)
			}
		})
	}
}

func TestPause_BeforeItsEnd_GivesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := freeBudget(3)
		start := time.Now()
		b.Pause(start.Add(7 * time.Second))
		b.Pause(start.Add(2 * time.Second)) // a shorter pause does not shorten it
		for _, class := range []Class{ClassContinued, ClassBackground} {
			acquire(t, b, class)
			if got := time.Since(start); got != 7*time.Second {
				t.Errorf("got a slot after %v, want 7s", got)
			}
		}
	})
}

func TestPause_SecondPauseWhileCallWaits_ExtendsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := freeBudget(1)
		start := time.Now()
		acquire(t, b, ClassContinued).Done()
		var all sync.WaitGroup
		all.Go(func() {
			acquire(t, b, ClassContinued)
			if got := time.Since(start); got != 20*time.Second {
				t.Errorf("got a slot after %v, want 20s", got)
			}
		})
		synctest.Wait()
		b.Pause(start.Add(10 * time.Second))
		time.Sleep(9 * time.Second)
		b.Pause(start.Add(20 * time.Second))
		all.Wait()
	})
}

func TestResize_CallWaits_AppliesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := freeBudget(2)
		slots := []*Slot{acquire(t, b, ClassContinued), acquire(t, b, ClassContinued)}
		var all sync.WaitGroup
		all.Go(func() { acquire(t, b, ClassContinued).Cancel() })
		synctest.Wait()
		b.Resize(3) // larger: the waiting call gets a slot at once
		all.Wait()

		b.Resize(1) // smaller: the slots in use stay in use
		for _, slot := range slots {
			slot.Done()
		}
		start := time.Now()
		acquire(t, b, ClassContinued).Done()
		acquire(t, b, ClassContinued)
		if got := time.Since(start); got != 2*Window {
			t.Errorf("got two slots of one after %v, want %v", got, 2*Window)
		}
	})
}

func TestAcquire_ContextEnds_LeavesNoWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := freeBudget(1)
		held := acquire(t, b, ClassContinued)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 9 {
			all.Go(func() {
				_, err := b.Acquire(ctx, ClassContinued+Class(i%2))
				if !IsKind(err, KindNotSent) {
					t.Errorf("got %v, want KindNotSent", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if b.inAcquire != [classes]int{} {
			t.Errorf("got waiters left behind: %v", b.inAcquire)
		}
		held.Cancel()
		acquire(t, b, ClassContinued).Cancel()

		if _, err := b.Acquire(ctx, ClassContinued); !IsKind(err, KindNotSent) {
			t.Errorf("got %v for an ended context, want KindNotSent", err)
		}
	})
}

func TestAcquire_ContextEndsWhileSlotFrees_LosesNoSlot(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b := freeBudget(1)
			held := acquire(t, b, ClassContinued)
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() {
				if slot, err := b.Acquire(ctx, ClassContinued); err == nil {
					slot.Cancel()
				}
			})
			synctest.Wait()
			all.Go(cancel)
			all.Go(held.Cancel)
			all.Wait()
			acquire(t, b, ClassContinued).Cancel() // a lost slot would deadlock the bubble
		})
	}
}

func TestFullest_Spans_ReturnsLargestWindow(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	spans := []span{{at(0), at(1)}, {at(5), at(5)}, {at(6), at(6)}, {at(9), at(20)}}
	if n := fullest(spans); n != 3 {
		t.Errorf("got %d of %v, want 3", n, slices.Clone(spans))
	}
}
