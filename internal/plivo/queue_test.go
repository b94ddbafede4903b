package plivo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ask asks for key, which is a tenant and a name: "a1". With a turn it returns
// the slot.
func ask(t *testing.T, b *Budget, key string) *Slot {
	t.Helper()
	if !b.RequestTurn(keyOf(key)) {
		return nil
	}
	return acquire(t, b, ClassContinued)
}

func keyOf(key string) Key { return Key{Namespace: key[:1], Name: key} }

// spent is a budget all of whose slots are in use, and what it has woken.
func spentBudget(t *testing.T, size, share int) (b *Budget, used []*Slot, woken *[]string) {
	t.Helper()
	woken = &[]string{}
	b = NewBudget(size, share, func(k Key) { *woken = append(*woken, k.Name) })
	time.Sleep(Window)
	for range size {
		used = append(used, acquire(t, b, ClassContinued))
	}
	return b, used, woken
}

func mustWait(t *testing.T, b *Budget, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if ask(t, b, key) != nil {
			t.Fatalf("%s got a slot", key)
		}
	}
}

func mustGet(t *testing.T, b *Budget, key string) *Slot {
	t.Helper()
	slot := ask(t, b, key)
	if slot == nil {
		t.Fatalf("%s got no slot", key)
	}
	return slot
}

func wantWoken(t *testing.T, woken *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*woken, want) {
		t.Fatalf("woken: %v, want %v", *woken, want)
	}
}

func TestAsk_SlotBecomesFree_WakesTenantsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := spentBudget(t, 1, 1)
		mustWait(t, b, "a1", "a2", "a3", "b1", "b2", "c1", "a1")
		used[0].Cancel()
		want := []string{"a1", "b1", "c1", "a2", "b2", "a3"}
		for i, key := range want {
			wantWoken(t, woken, want[:i+1]...)
			slot := mustGet(t, b, key)
			slot.Cancel()
			b.EndTurn(keyOf(key))
		}
		if len(b.places)+len(b.namespaces)+len(b.turns) != 0 || b.count != [3]int{} {
			t.Errorf("something stays behind: %+v", b)
		}
	})
}

func TestAsk_OthersWait_JoinsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := spentBudget(t, 4, 4)
		mustWait(t, b, "a1")
		used[0].Cancel()
		wantWoken(t, woken, "a1")
		mustWait(t, b, "b1") // the free slot is for a1
		mustGet(t, b, "a1")
		used[1].Cancel()
		wantWoken(t, woken, "a1", "b1")
	})
}

func TestLeave_WokenKeyDoesNotAsk_WakesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := spentBudget(t, 1, 1)
		mustWait(t, b, "a1", "b1", "c1")
		b.EndTurn(keyOf("b1")) // deleted while it waits
		used[0].Cancel()
		b.EndTurn(keyOf("a1")) // deleted when it was woken
		wantWoken(t, woken, "a1", "c1")
		mustGet(t, b, "c1")
	})
}

func TestAsk_FurtherCallTookTheSlot_TakesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := spentBudget(t, 2, 2)
		mustWait(t, b, "a1", "a2", "b1")
		used[0].Cancel()
		further := acquire(t, b, ClassContinued)
		time.AfterFunc(time.Second, further.Cancel)
		mustGet(t, b, "a1")
		wantWoken(t, woken, "a1")
	})
}

func TestAsk_ShareOfWorkersUsed_WaitsUntilOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100, 2, func(Key) {})
		time.Sleep(Window)
		mustGet(t, b, "a1")
		mustGet(t, b, "a2").Done() // its call is over, its reconcile is not
		mustWait(t, b, "b1")
		b.EndTurn(keyOf("a2"))
		mustGet(t, b, "b1")
	})
}

func TestAsk_SmallBudget_LeavesSlotsForFurtherCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10, 100, func(Key) {})
		time.Sleep(Window)
		var begun []*Slot
		for i := range 10 {
			if slot := ask(t, b, fmt.Sprint("a", i)); slot != nil {
				begun = append(begun, slot)
			}
		}
		start := time.Now()
		for range begun {
			acquire(t, b, ClassContinued)
		}
		if len(begun) != 5 || !time.Now().Equal(start) {
			t.Errorf("%d have begun, and their further calls took %v", len(begun), time.Since(start))
		}
	})
}

func TestAsk_Pause_WakesAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := spentBudget(t, 1, 1)
		b.Pause(time.Now().Add(time.Hour))
		used[0].Cancel()
		mustWait(t, b, "a1", "b1")
		time.Sleep(time.Hour - 1)
		wantWoken(t, woken)
		time.Sleep(1)
		synctest.Wait()
		wantWoken(t, woken, "a1")
		mustGet(t, b, "a1")
	})
}

// operators is a model of a controller: workers that reconcile the keys which
// are enqueued, as Ask's contract demands.
type operators struct {
	t     *testing.T
	b     *Budget
	queue chan Key

	mu      sync.Mutex
	served  map[Key]time.Time
	gone    map[Key]bool
	running map[Key]bool
	spans   []span
	active  int
	most    int
	all     sync.WaitGroup
}

// reconcile makes two calls for a key, or none if it is gone by now.
func (o *operators) reconcile(key Key, work time.Duration) {
	o.mu.Lock()
	gone, done, running := o.gone[key], !o.served[key].IsZero(), o.running[key]
	o.running[key] = true
	o.mu.Unlock()
	if running { // a workqueue hands a key out once at a time
		time.Sleep(time.Millisecond)
		o.queue <- key
		return
	}
	defer func() {
		o.mu.Lock()
		delete(o.running, key)
		o.mu.Unlock()
	}()
	if gone || done {
		o.b.EndTurn(key)
		return
	}
	if !o.b.RequestTurn(key) {
		return
	}
	o.mu.Lock()
	o.active++
	o.most = max(o.most, o.active)
	o.mu.Unlock()
	for range 2 {
		slot := acquire(o.t, o.b, ClassContinued)
		sent := time.Now()
		time.Sleep(work)
		slot.Done()
		o.mu.Lock()
		o.spans = append(o.spans, span{sent, time.Now()})
		o.mu.Unlock()
	}
	o.mu.Lock()
	o.active--
	o.served[key] = time.Now()
	o.mu.Unlock()
	o.b.EndTurn(key)
}

// Every key that is not deleted is served, in about the time that the budget
// alone takes, with at most the share of the workers.
func TestAsk_RandomKeysAndDeletions_AllServedWithoutIdleSlots(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			size, workers, keys := 2+dice.IntN(40), 4+dice.IntN(20), 100+dice.IntN(200)
			o := &operators{t: t, queue: make(chan Key, 100*keys), served: map[Key]time.Time{}, gone: map[Key]bool{}, running: map[Key]bool{}}
			share := max(1, workers/4)
			o.b = NewBudget(size, share, func(k Key) { o.queue <- k })
			time.Sleep(Window)
			ctx, stop := context.WithCancel(t.Context())
			work := time.Duration(1+dice.IntN(100)) * time.Millisecond
			for range workers {
				o.all.Go(func() {
					for {
						select {
						case key := <-o.queue:
							o.reconcile(key, work)
						case <-ctx.Done():
							return
						}
					}
				})
			}
			start := time.Now()
			var left []Key
			for i := range keys {
				key := Key{Namespace: strings.Repeat("t", 1+dice.IntN(3)), Name: fmt.Sprint(i)}
				o.queue <- key
				if dice.IntN(4) > 0 {
					left = append(left, key)
					continue
				}
				o.all.Go(func() {
					time.Sleep(time.Duration(dice.IntN(5000)) * time.Millisecond)
					o.mu.Lock()
					o.gone[key] = true
					o.mu.Unlock()
					o.queue <- key
				})
			}
			// A slot costs a window and its call; a turn costs two calls.
			calls := 2 * keys
			floor := time.Duration(calls/size+1)*(Window+work) + time.Duration(keys/min(share, max(1, size/2))+1)*2*work
			time.Sleep(floor + Window)
			stop()
			o.all.Wait()
			for _, key := range left {
				if o.served[key].IsZero() {
					t.Fatalf("seed %d: %v is not served after %v, size %d, share %d", seed, key, time.Since(start), size, share)
				}
			}
			if n := fullest(o.spans); n > size || o.most > share {
				t.Errorf("seed %d: %d in one window, of %d; %d at once, of %d", seed, n, size, o.most, share)
			}
			if len(o.b.places)+len(o.b.namespaces)+len(o.b.turns)+o.b.inFlight != 0 {
				t.Errorf("seed %d: something stays behind: %+v", seed, o.b.places)
			}
		})
	}
}
