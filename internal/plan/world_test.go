package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// fault is what the environment answers to a step.
type fault string

const (
	fine      fault = "fine"
	refusal   fault = "refused"
	committed fault = "unknown, committed"
	lostCall  fault = "unknown, not committed"
	late      fault = "unknown, committed later"
	crash     fault = "crash before"
	crashed   fault = "crash after"
	stale     fault = "stale sweep"
	wrong404  fault = "a 404 that is not Plivo's"
)

// world is one Subaccount, a tiny Plivo, and a process that folds answers in
// as the controller does.
type world struct {
	now    time.Time
	answer func(step string) fault

	object   *v1alpha1.Subaccount
	released bool
	secret   plan.Fact[plan.Secret]

	live map[string]plan.Remote
	late []time.Time // of create calls that are yet to take effect
	made int

	memory  memory
	trace   []string
	summary plan.Summary
}

// memory is what a crash loses.
type memory struct {
	held                      *plan.HeldResponse
	refused, attempt, deleted string
	firstSight                time.Time
	judged                    bool
	rows                      map[string]plan.Remote
	rowsAt                    map[string]time.Time
	swept                     plan.Fact[plan.Sweep]
	notFound                  map[string]plan.NotFound
}

type crashes struct{}

func newWorld(answer func(string) fault) *world {
	w := &world{now: base, answer: answer, object: fresh().Object, secret: plan.Absent[plan.Secret](), live: map[string]plan.Remote{}}
	w.restart()
	return w
}

func (w *world) restart() {
	w.memory = memory{rows: map[string]plan.Remote{}, rowsAt: map[string]time.Time{}, notFound: map[string]plan.NotFound{}}
}

func (w *world) observe() *observation {
	m, s := &w.memory, w.object.DeepCopy()
	o := fresh(func(o *observation) { o.Object, o.Now, o.Secret = s, w.now, w.secret })
	if m.held != nil && m.held.AuthID == s.Status.AuthID {
		m.held = nil
	}
	o.HeldResponse, o.HasToken, o.RefusedAttempt, o.LastSweep = m.held, m.held != nil, m.refused, m.swept
	w.fold(o)
	return o
}

// fold takes in what memory tells of the object as it is now.
func (w *world) fold(o *observation) {
	m, s := &w.memory, w.object
	o.Object, o.Now = s.DeepCopy(), w.now
	if p := s.Status.PendingCreation; p != nil && p.Attempt != m.attempt {
		m.attempt, m.firstSight = p.Attempt, w.now
	}
	o.PendingSince, o.FoundByMarker = m.firstSight, nil
	for id, r := range m.rows {
		if r.Name == marker {
			o.FoundByMarker = append(o.FoundByMarker, id)
		}
	}
	slices.Sort(o.FoundByMarker)
	o.Remote, o.NotFound, o.Claim = plan.Unknown[plan.Remote](), plan.NotFound{}, plan.Unknown[plan.Claim]()
	if m.judged {
		o.Claim = plan.Known(plan.Claim{Ours: true})
	}
	id := s.Status.AuthID
	if id == "" {
		return
	}
	o.NotFound, o.Deleted = m.notFound[id], m.deleted == id
	if _, swept := m.swept.Get(); swept {
		o.Remote = plan.Absent[plan.Remote]()
	}
	if r, ok := m.rows[id]; ok {
		o.Remote = plan.Known(r)
	}
}

// pass decides and performs until there is nothing to do, as the controller does.
func (w *world) pass() (d decision) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crashes); !ok {
				panic(r)
			}
			w.restart()
			d = decision{}
			d.Wait.Backoff = true
		}
	}()
	o := w.observe()
	for range 30 {
		d = plan.Decide(o)
		if d.Step == plan.StepNone {
			w.summary = plan.Summarize(o, d)
			w.object.Status = w.summary.Status
			if !d.Wait.Sweep.IsZero() {
				w.sweep(d.Wait.Sweep)
			}
			return d
		}
		w.trace = append(w.trace, string(d.Step))
		f := w.answer(string(d.Step))
		if f == crash {
			panic(crashes{})
		}
		w.perform(o, d, f)
		if f == crashed {
			panic(crashes{})
		}
		w.now = w.now.Add(time.Millisecond)
		w.fold(o)
		if w.released {
			return decision{}
		}
	}
	panic(fmt.Sprintf("a pass without end: %v", w.trace[len(w.trace)-30:]))
}

// settleCalls lets late create calls take effect.
func (w *world) settleCalls() {
	w.late = slices.DeleteFunc(w.late, func(at time.Time) bool {
		if at.After(w.now) {
			return false
		}
		w.create()
		return true
	})
}

func (w *world) create() string {
	w.made++
	id := fmt.Sprintf("SA%018d", w.made)
	w.live[id] = plan.Remote{Name: marker, TokenDigest: [16]byte{byte(w.made)}}
	return id
}

// sweep reads the whole list; a stale one was read before what asked for it.
func (w *world) sweep(from time.Time) {
	w.trace = append(w.trace, "sweep")
	f := w.answer("sweep")
	if f == lostCall {
		w.now = w.now.Add(time.Second)
		return
	}
	started, rows := w.now, maps.Clone(w.live)
	if f != stale {
		w.advance(from)
		started, rows = w.now, maps.Clone(w.live)
	}
	w.now = w.now.Add(time.Millisecond)
	m := &w.memory
	for id, r := range rows {
		if !m.rowsAt[id].After(started) {
			m.rows[id], m.rowsAt[id] = r, started
			delete(m.notFound, id)
		}
	}
	for id := range m.rows {
		if m.rowsAt[id].Before(started) {
			delete(m.rows, id)
		}
	}
	for id, n := range m.notFound {
		if _, shown := m.rows[id]; shown {
			n.MissingSince = time.Time{}
		} else if n.MissingSince.IsZero() {
			n.MissingSince = started
		}
		m.notFound[id] = n
	}
	m.swept = plan.Known(plan.Sweep{Started: started})
}

func (w *world) advance(to time.Time) {
	if to.After(w.now) {
		w.now = to
	}
	w.settleCalls()
}

// wait passes the time that a decision asks for.
func (w *world) wait(d decision) {
	pause := d.Wait.After
	if d.Wait.Backoff {
		pause = time.Second
	}
	w.advance(w.now.Add(pause))
}

// edit is a person's change of the spec.
func (w *world) edit(do func(*v1alpha1.SubaccountSpec)) {
	do(&w.object.Spec)
	w.object.Generation++
}

func (w *world) remove() {
	w.released = len(w.object.Finalizers) == 0 // nothing keeps it
	w.object.DeletionTimestamp = new(metav1.NewTime(w.now))
	w.object.Generation++
}
