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

// span is one request: from its sending to its answer.
type span struct{ sent, answered time.Time }

// fullest is the largest number of requests that a server can have counted in
// one window, wherever it counts each between its sending and its answer.
func fullest(spans []span) int {
	most := 0
	for _, end := range spans {
		n := 0
		for _, s := range spans {
			if !s.sent.After(end.sent) && s.answered.After(end.sent.Add(-Window)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func acquire(t *testing.T, b *Budget, class Class, tenant string, also ...Class) *Slot {
	t.Helper()
	slot, err := b.Acquire(t.Context(), class, tenant, also...)
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// settled is a budget whose paced start is over.
func settled(size int) *Budget {
	b := NewBudget(size)
	time.Sleep(Window)
	return b
}

func TestNeverMoreThanSizeInAnyWindow(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 0))
			upTo := func(d time.Duration) time.Duration { return time.Duration(dice.Int64N(int64(d))) }
			size, slow := 1+dice.IntN(12), time.Duration(1+dice.IntN(8000))*time.Millisecond
			b := NewBudget(size)
			var (
				mu    sync.Mutex
				spans []span
				all   sync.WaitGroup
			)
			for i := range 20 * size {
				arrives, takes := upTo(20*time.Second), upTo(slow)
				class, tenant := Class(dice.IntN(2)), string(rune('a'+i%3))
				cancelled, patience := dice.IntN(5) == 0, upTo(10*time.Second)
				all.Go(func() {
					time.Sleep(arrives)
					ctx := t.Context()
					if cancelled {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, patience)
						defer cancel()
					}
					slot, err := b.Acquire(ctx, class, tenant)
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
				t.Errorf("seed %d: %d requests in one window, of %d", seed, n, size)
			}
			if len(b.tenants)+len(b.turns)+len(b.background)+b.inFlight != 0 {
				t.Errorf("seed %d: something stays behind: %+v", seed, b)
			}
		})
	}
}

func TestTheStartIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := NewBudget(5)
		for i := range 5 {
			acquire(t, b, ClassInteractive, "")
			if got, want := time.Since(start), time.Duration(i+1)*time.Second; got != want {
				t.Errorf("slot %d came after %v, want %v", i, got, want)
			}
		}
	})
}

func TestASlotIsFreeOneWindowAfterItsAnswerAndAtOnceWhenUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(1)
		slot := acquire(t, b, ClassInteractive, "")
		time.Sleep(3 * time.Second)
		slot.Done()
		answered := time.Now()
		slot = acquire(t, b, ClassInteractive, "")
		if got := time.Since(answered); got != Window {
			t.Errorf("free after %v", got)
		}
		slot.Cancel()
		acquire(t, b, ClassInteractive, "")
		if got := time.Since(answered); got != Window {
			t.Errorf("an unused slot came back after %v", got-Window)
		}
	})
}

// order lets waiters, named by the tenants of a string ("-": the background,
// "+": who waits in both classes), queue for one slot, and returns in which order they get it.
func order(t *testing.T, queue string) string {
	t.Helper()
	b := settled(1)
	first := acquire(t, b, ClassInteractive, "first")
	b.mu.Lock()
	b.grants = 0
	b.mu.Unlock()
	var (
		served strings.Builder
		all    sync.WaitGroup
	)
	for _, tenant := range queue {
		class, also := ClassInteractive, []Class{}
		switch tenant {
		case '-':
			class = ClassBackground
		case '+':
			also = append(also, ClassBackground)
		}
		all.Go(func() {
			slot := acquire(t, b, class, string(tenant), also...)
			served.WriteRune(tenant) // one at a time: there is one slot
			slot.Cancel()
		})
		synctest.Wait()
	}
	first.Cancel()
	all.Wait()
	return served.String()
}

func TestWaitersAreServedInTurn(t *testing.T) {
	cases := []struct{ name, queue, want string }{
		{"one tenant: first come, first served", "aaa", "aaa"},
		{"tenants take turns", "aaaabbc", "abcabaa"},
		{"the background goes last", "--ab", "ab--"},
		{"the background gets one of ten", "---" + strings.Repeat("a", 20), "aaaaaaaaa-aaaaaaaaa-aa-"},
		{"who waits in both classes takes its turn", "aa+bb", "a+bab"},
		{"or the share of the background, if that is sooner", "abcdefghijkl+", "abcdefghi+jkl"},
		{"its share is not taken when it does not wait", strings.Repeat("a", 12), strings.Repeat("a", 12)},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			if got := order(t, c.queue); got != c.want {
				t.Errorf("%s: %q was served as %q, want %q", c.name, c.queue, got, c.want)
			}
		})
	}
}

func TestPauseGivesNothingUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(3)
		start := time.Now()
		b.Pause(start.Add(7 * time.Second))
		b.Pause(start.Add(2 * time.Second)) // a shorter one does not shorten it
		for _, class := range []Class{ClassInteractive, ClassBackground} {
			acquire(t, b, class, "")
			if got := time.Since(start); got != 7*time.Second {
				t.Errorf("a slot came after %v", got)
			}
		}
	})
}

func TestPauseWhileSomebodyWaitsCanBeMadeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(1)
		start := time.Now()
		acquire(t, b, ClassInteractive, "").Done()
		var all sync.WaitGroup
		all.Go(func() {
			acquire(t, b, ClassInteractive, "")
			if got := time.Since(start); got != 20*time.Second {
				t.Errorf("a slot came after %v", got)
			}
		})
		synctest.Wait()
		b.Pause(start.Add(10 * time.Second))
		time.Sleep(9 * time.Second)
		b.Pause(start.Add(20 * time.Second))
		all.Wait()
	})
}

func TestResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(2)
		slots := []*Slot{acquire(t, b, ClassInteractive, ""), acquire(t, b, ClassInteractive, "")}
		var all sync.WaitGroup
		all.Go(func() { acquire(t, b, ClassInteractive, "").Cancel() })
		synctest.Wait()
		b.Resize(3) // larger: the waiter goes at once
		all.Wait()

		b.Resize(1) // smaller: the slots in use stay in use
		for _, slot := range slots {
			slot.Done()
		}
		start := time.Now()
		acquire(t, b, ClassInteractive, "").Done()
		acquire(t, b, ClassInteractive, "")
		if got := time.Since(start); got != 2*Window {
			t.Errorf("two slots of one took %v", got)
		}
	})
}

func TestWhoGivesUpGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(1)
		held := acquire(t, b, ClassInteractive, "")
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 9 {
			all.Go(func() {
				_, err := b.Acquire(ctx, Class(i%2), []string{"a", "b", "c"}[i%3])
				if !IsKind(err, KindNotSent) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if len(b.tenants)+len(b.turns)+len(b.background) != 0 {
			t.Errorf("waiters stay behind: %v %v %v", b.tenants, b.turns, b.background)
		}
		held.Cancel()
		acquire(t, b, ClassInteractive, "").Cancel()

		if _, err := b.Acquire(ctx, ClassInteractive, ""); !IsKind(err, KindNotSent) {
			t.Errorf("an ended context got a slot: %v", err)
		}
	})
}

func TestASlotGrantedAtTheMomentOfGivingUpIsNotLost(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b := settled(1)
			held := acquire(t, b, ClassInteractive, "")
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() {
				if slot, err := b.Acquire(ctx, ClassInteractive, ""); err == nil {
					slot.Cancel()
				}
			})
			synctest.Wait()
			all.Go(cancel)
			all.Go(held.Cancel)
			all.Wait()
			acquire(t, b, ClassInteractive, "").Cancel() // or the bubble is deadlocked
		})
	}
}

func TestTheFullestWindowIsFound(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	spans := []span{{at(0), at(1)}, {at(5), at(5)}, {at(6), at(6)}, {at(9), at(20)}}
	if n := fullest(spans); n != 3 {
		t.Errorf("got %d of %v", n, slices.Clone(spans))
	}
}
