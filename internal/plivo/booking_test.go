package plivo

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatHasBegunGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(1)
		held := acquire(t, b, ClassInteractive, "")
		var order []string
		book := func(class Class, name string) {
			b.Book(class, name, func(s *Slot) {
				order = append(order, name)
				go s.Cancel()
			})
		}
		book(ClassInteractive, "tenant one")
		book(ClassInteractive, "tenant one")
		book(ClassInteractive, "tenant two")
		book(ClassContinued, "begun")
		held.Cancel()
		synctest.Wait()
		if want := []string{"begun", "tenant one", "tenant two", "tenant one"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}

func TestBackgroundHasItsShareOfWhatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(1)
		held := acquire(t, b, ClassInteractive, "")
		swept, place := 0, 0
		b.Book(ClassBackground, "", func(s *Slot) {
			swept = place
			go s.Cancel()
		})
		for range 2 * backgroundShare {
			b.Book(ClassContinued, "", func(s *Slot) {
				place++
				go s.Cancel()
			})
		}
		held.Cancel()
		synctest.Wait()
		if swept > backgroundShare || place != 2*backgroundShare {
			t.Errorf("the background's turn came after %d of %d", swept, place)
		}
	})
}

func TestABookingTakenBackIsGrantedToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, class := range []Class{ClassInteractive, ClassBackground, ClassContinued} {
			b := settled(1)
			held := acquire(t, b, ClassInteractive, "")
			cancel := b.Book(class, "a", func(*Slot) { t.Errorf("%s: granted", class) })
			if !cancel() || cancel() {
				t.Errorf("%s: it was still waiting, and then it was not", class)
			}
			held.Cancel()
			acquire(t, b, class, "a").Cancel() // or the bubble is deadlocked
		}
	})
}

func TestOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(10)
		b.OneByOne(true)
		first := acquire(t, b, ClassInteractive, "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := b.Acquire(ctx, ClassContinued, ""); !IsKind(err, KindNotSent) {
			t.Errorf("a second one: %v", err)
		}
		var second *Slot
		b.Book(ClassInteractive, "", func(s *Slot) { second = s })
		first.Done()
		if second == nil {
			t.Fatal("the next one is not let in")
		}
		b.OneByOne(false)
		acquire(t, b, ClassInteractive, "").Done()
		second.Done()
	})
}

func TestSlotsThatNobodyHasComeForLeaveRoomForWhatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := settled(10)
		var given []*Slot
		for range 10 {
			b.Book(ClassInteractive, "", func(s *Slot) { given = append(given, s) })
		}
		if len(given) != 5 {
			t.Fatalf("%d of 10 are given out at once", len(given))
		}
		acquire(t, b, ClassContinued, "").Done() // or the bubble is deadlocked
		given[0].Take()
		given[1].Cancel()
		if len(given) != 7 {
			t.Errorf("%d after one was taken up and one given back", len(given))
		}
	})
}
