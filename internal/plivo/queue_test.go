// SPDX-License-Identifier: Apache-2.0

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

// requestSlot requests a turn for a key. The first letter of "a1" is its namespace. With
// a turn it returns the slot, else nil.
func requestSlot(t *testing.T, b *Budget, key string) *Slot {
	t.Helper()
	if turn, _ := b.RequestTurn(keyOf(key)); !turn {
		return nil
	}
	return acquire(t, b, ClassContinued)
}

func keyOf(key string) Key { return Key{Namespace: key[:1], Name: key} }

// usedBudget returns a budget whose slots are all in use, and the keys that it wakes.
func usedBudget(t *testing.T, size, share int) (b *Budget, used []*Slot, woken *[]string) {
	t.Helper()
	woken = &[]string{}
	b = NewBudget(size, share, time.Now(), func(k Key) { *woken = append(*woken, k.Name) })
	for range size {
		used = append(used, acquire(t, b, ClassContinued))
	}
	return b, used, woken
}

func wantQueued(t *testing.T, b *Budget, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if requestSlot(t, b, key) != nil {
			t.Fatalf("%s: got a slot, want it queued", key)
		}
	}
}

func wantSlot(t *testing.T, b *Budget, key string) *Slot {
	t.Helper()
	slot := requestSlot(t, b, key)
	if slot == nil {
		t.Fatalf("%s: got no slot, want one", key)
	}
	return slot
}

func wantWoken(t *testing.T, woken *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*woken, want) {
		t.Fatalf("woken: got %v, want %v", *woken, want)
	}
}

func TestRequestTurn_SlotBecomesFree_WakesNamespacesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := usedBudget(t, 1, 1)
		wantQueued(t, b, "a1", "a2", "a3", "b1", "b2", "c1", "a1")
		used[0].Cancel()
		want := []string{"a1", "b1", "c1", "a2", "b2", "a3"}
		for i, key := range want {
			wantWoken(t, woken, want[:i+1]...)
			slot := wantSlot(t, b, key)
			slot.Cancel()
			b.EndTurn(keyOf(key))
		}
		if len(b.places)+len(b.namespaces)+len(b.namespaceOrder) != 0 || b.count != [3]int{} {
			t.Errorf("got state left behind: %+v", b)
		}
	})
}

func TestRequestTurn_OthersWait_JoinsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := usedBudget(t, 4, 4)
		wantQueued(t, b, "a1")
		used[0].Cancel()
		wantWoken(t, woken, "a1")
		wantQueued(t, b, "b1") // the free slot is reserved for a1
		wantSlot(t, b, "a1")
		used[1].Cancel()
		wantWoken(t, woken, "a1", "b1")
	})
}

func TestEndTurn_WokenKey_WakesNextKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := usedBudget(t, 1, 1)
		wantQueued(t, b, "a1", "b1", "c1")
		b.EndTurn(keyOf("b1")) // deleted while it waited
		used[0].Cancel()
		b.EndTurn(keyOf("a1")) // deleted when it was woken
		wantWoken(t, woken, "a1", "c1")
		wantSlot(t, b, "c1")
	})
}

func TestRequestTurn_ContinuedCallTookSlot_GetsNextSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := usedBudget(t, 2, 2)
		wantQueued(t, b, "a1", "a2", "b1")
		used[0].Cancel()
		further := acquire(t, b, ClassContinued)
		time.AfterFunc(time.Second, further.Cancel)
		wantSlot(t, b, "a1")
		wantWoken(t, woken, "a1")
	})
}

func TestRequestTurn_ShareOfWorkersUsed_WaitsForEndTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100, 2, time.Now(), func(Key) {})
		wantSlot(t, b, "a1")
		wantSlot(t, b, "a2").Done() // its call has ended, its reconcile has not
		wantQueued(t, b, "b1")
		b.EndTurn(keyOf("a2"))
		wantSlot(t, b, "b1")
	})
}

func TestRequestTurn_SmallBudget_LeavesSlotsForContinuedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10, 100, time.Now(), func(Key) {})
		var started []*Slot
		for i := range 10 {
			if slot := requestSlot(t, b, fmt.Sprint("a", i)); slot != nil {
				started = append(started, slot)
			}
		}
		start := time.Now()
		for range started {
			acquire(t, b, ClassContinued)
		}
		if len(started) != 5 || !time.Now().Equal(start) {
			t.Errorf("got %d started, continued calls after %v; want 5 at once", len(started), time.Since(start))
		}
	})
}

func TestRequestTurn_Pause_WakesAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, used, woken := usedBudget(t, 1, 1)
		b.Pause(time.Now().Add(time.Hour))
		used[0].Cancel()
		wantQueued(t, b, "a1", "b1")
		time.Sleep(time.Hour - 1)
		wantWoken(t, woken)
		time.Sleep(1)
		synctest.Wait()
		wantWoken(t, woken, "a1")
		wantSlot(t, b, "a1")
	})
}

// workerPool is a model of a controller: its workers reconcile the enqueued keys and call
// RequestTurn and EndTurn as their contract demands.
type workerPool struct {
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

// reconcile makes two calls for a key, or none if the key was deleted.
func (o *workerPool) reconcile(key Key, work time.Duration) {
	o.mu.Lock()
	gone, done, running := o.gone[key], !o.served[key].IsZero(), o.running[key]
	o.running[key] = true
	o.mu.Unlock()
	if running { // a workqueue never gives one key to two workers
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
	if turn, _ := o.b.RequestTurn(key); !turn {
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

// The budget serves every key that is not deleted, about as fast as its size allows,
// with at most the share of the workers.
func TestRequestTurn_RandomKeysAndDeletions_ServesAllInTime(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			size, workers, keys := 2+dice.IntN(40), 4+dice.IntN(20), 100+dice.IntN(200)
			o := &workerPool{t: t, queue: make(chan Key, 100*keys), served: map[Key]time.Time{}, gone: map[Key]bool{}, running: map[Key]bool{}}
			share := max(1, workers/4)
			o.b = NewBudget(size, share, time.Now(), func(k Key) { o.queue <- k })
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
				deletedAfter := time.Duration(dice.IntN(5000)) * time.Millisecond
				o.all.Go(func() {
					time.Sleep(deletedAfter)
					o.mu.Lock()
					o.gone[key] = true
					o.mu.Unlock()
					o.queue <- key
				})
			}
			// A slot takes a window and a call; a turn takes two calls.
			calls := 2 * keys
			floor := time.Duration(calls/size+1)*(Window+work) + time.Duration(keys/min(share, max(1, size/2))+1)*2*work
			time.Sleep(floor + Window)
			stop()
			o.all.Wait()
			for _, key := range left {
				if o.served[key].IsZero() {
					t.Fatalf("seed %d: got %v not served after %v, size %d, share %d", seed, key, time.Since(start), size, share)
				}
			}
			if n := fullest(o.spans); n > size || o.most > share {
				t.Errorf("seed %d: got %d in one window, want at most %d; got %d turns at once, want at most %d", seed, n, size, o.most, share)
			}
			if len(o.b.places)+len(o.b.namespaces)+len(o.b.namespaceOrder)+o.b.inFlight != 0 {
				t.Errorf("seed %d: got state left behind: %+v", seed, o.b.places)
			}
		})
	}
}
