package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// recorder is client-go's recorder of events, bounded. That one keeps every
// event for up to 12 minutes, so that equal ones become a series: while
// thousands of subaccounts are made, that is as much memory as all of them
// take. So it is made anew after so many events, and a series may then begin
// anew, too.
type recorder struct {
	sink   *countingSink
	scheme *runtime.Scheme

	mu      sync.Mutex
	current *broadcaster
	ended   bool // a pass that outlasts its time has nobody left to tell
}

const (
	eventsKept = 1000
	// eventsDelay is more than what has been told needs on its way to the sink
	// and through it.
	eventsDelay = 10 * time.Second
	// eventsQuiet is more than it needs on its way to the sink.
	eventsQuiet = 200 * time.Millisecond
)

// countingSink counts the writes that have begun, and those that have ended.
type countingSink struct {
	events.EventSink
	begun, ended atomic.Int64
}

func (s *countingSink) Create(ctx context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	s.begun.Add(1)
	defer s.ended.Add(1)
	return s.EventSink.Create(ctx, e)
}

func (s *countingSink) Patch(ctx context.Context, e *eventsv1.Event, patch []byte) (*eventsv1.Event, error) {
	s.begun.Add(1)
	defer s.ended.Add(1)
	return s.EventSink.Patch(ctx, e, patch)
}

// awaitQuiet returns when every write has ended and none has begun for
// eventsQuiet, or after eventsDelay: client-go has nothing to wait for.
func (s *countingSink) awaitQuiet() {
	begun := s.begun.Load()
	_ = wait.PollUntilContextTimeout(context.Background(), eventsQuiet, eventsDelay, false, func(context.Context) (bool, error) {
		before := begun
		begun = s.begun.Load()
		return begun == before && s.ended.Load() == begun, nil
	})
}

// broadcaster is one that is used for so many events.
type broadcaster struct {
	events.EventRecorder
	told int
	end  func()
}

func newRecorder(mgr ctrl.Manager) (*recorder, error) {
	client, err := eventsclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	return &recorder{sink: &countingSink{EventSink: &events.EventSinkImpl{Interface: client}}, scheme: mgr.GetScheme()}, nil
}

// Eventf implements events.EventRecorder.
func (r *recorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	if b := r.current; b != nil && b.told >= eventsKept {
		time.AfterFunc(eventsDelay, b.end)
		r.current = nil
	}
	if r.current == nil {
		r.current = r.begin()
	}
	r.current.told++
	r.current.Eventf(regarding, related, kind, reason, action, note, args...)
}

func (r *recorder) begin() *broadcaster {
	ctx, cancel := context.WithCancel(log.IntoContext(context.Background(), ctrl.Log.WithName("events")))
	b := events.NewBroadcaster(r.sink)
	if err := b.StartRecordingToSinkWithContext(ctx); err != nil {
		ctrl.Log.Error(err, "events cannot be told")
	}
	return &broadcaster{
		EventRecorder: b.NewRecorder(r.scheme, "subaccount-operator"),
		end:           func() { b.Shutdown(); cancel() },
	}
}

// end tells what has been told so far, and nothing more.
func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended = true; r.current != nil {
		r.sink.awaitQuiet()
		r.current.end()
	}
}
