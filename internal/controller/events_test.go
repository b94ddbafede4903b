package controller

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// sink takes events.
type sink struct {
	mu   sync.Mutex
	told map[string]int // by note
	slow time.Duration
}

func (s *sink) Create(ctx context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.slow):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[e.Note]++
	return e, nil
}
func (s *sink) Update(_ context.Context, e *eventsv1.Event) (*eventsv1.Event, error) { return e, nil }
func (s *sink) Patch(_ context.Context, e *eventsv1.Event, _ []byte) (*eventsv1.Event, error) {
	return e, nil
}

func TestEveryEventIsToldOnceThoughTheRecorderIsMadeAnewInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		s := &sink{told: map[string]int{}}
		r := &recorder{sink: &countingSink{EventSink: s}, scheme: scheme}
		const n = 5*eventsKept + 1
		used := map[*broadcaster]bool{}
		for i := range n {
			about := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint(i)}}
			r.Eventf(about, nil, corev1.EventTypeNormal, "Reason", "Action", "%d", i)
			used[r.current] = true
			synctest.Wait() // or client-go's queue drops some
		}
		time.Sleep(2 * eventsDelay)
		r.end()
		r.Eventf(&corev1.Secret{}, nil, corev1.EventTypeNormal, "Reason", "Action", "late")
		synctest.Wait()
		if len(used) != 6 || s.told["late"] != 0 {
			t.Errorf("%d recorders, %d told after the end", len(used), s.told["late"])
		}
		for i := range n {
			if s.told[fmt.Sprint(i)] != 1 {
				t.Fatalf("event %d was told %d times", i, s.told[fmt.Sprint(i)])
			}
		}
	})
}

func TestTheEndWaitsForWhatIsBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		s := &sink{told: map[string]int{}, slow: 3 * time.Second}
		r := &recorder{sink: &countingSink{EventSink: s}, scheme: scheme}
		about := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "name"}}
		r.Eventf(about, nil, corev1.EventTypeNormal, "Reason", "Action", "last")
		r.end()
		if s.told["last"] != 1 {
			t.Error("what was told just before the end was lost")
		}
		synctest.Wait()
	})
}
