// SPDX-License-Identifier: Apache-2.0

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

// fault is how a step goes wrong in the world.
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

// world has one Subaccount, a small Plivo, and a process that folds in responses as
// the controller does.
type world struct {
	now     time.Time
	faultOf func(step string) fault

	object   *v1alpha1.Subaccount
	released bool
	secret   plan.Fact[plan.Secret]

	live    map[string]plan.Remote
	late    []time.Time // when late create calls take effect
	created int

	memory  memory
	trace   []string
	summary plan.Summary
}

// memory is lost in a crash.
type memory struct {
	held                      *plan.HeldResponse
	refused, attempt, deleted string
	pendingSince              time.Time
	confirmed                 bool
	rows                      map[string]plan.Remote
	rowsAt                    map[string]time.Time
	swept                     plan.Fact[plan.Sweep]
	notFound                  map[string]plan.NotFound
}

type crashes struct{}

func newWorld(faultOf func(string) fault) *world {
	w := &world{now: base, faultOf: faultOf, object: fresh().Object, secret: plan.Absent[plan.Secret](), live: map[string]plan.Remote{}}
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

// fold adds what memory has about the current object.
func (w *world) fold(o *observation) {
	m, s := &w.memory, w.object
	o.Object, o.Now = s.DeepCopy(), w.now
	if p := s.Status.PendingCreation; p != nil && p.Attempt != m.attempt {
		m.attempt, m.pendingSince = p.Attempt, w.now
	}
	o.PendingSince, o.FoundByMarker = m.pendingSince, nil
	for id, r := range m.rows {
		if r.Name == marker {
			o.FoundByMarker = append(o.FoundByMarker, id)
		}
	}
	slices.Sort(o.FoundByMarker)
	o.Remote, o.NotFound, o.Claim = plan.Unknown[plan.Remote](), plan.NotFound{}, plan.Unknown[plan.Claim]()
	if m.confirmed {
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

// reconcile decides and performs steps until no step is left, as the controller does.
func (w *world) reconcile() (d decision) {
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
		f := w.faultOf(string(d.Step))
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
	panic(fmt.Sprintf("reconcile does not end: %v", w.trace[len(w.trace)-30:]))
}

// settleCalls makes late create calls take effect.
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
	w.created++
	id := fmt.Sprintf("SA%018d", w.created)
	w.live[id] = plan.Remote{Name: marker, TokenDigest: [16]byte{byte(w.created)}}
	return id
}

// sweep reads the whole list. A stale sweep started before the request for it.
func (w *world) sweep(from time.Time) {
	w.trace = append(w.trace, "sweep")
	f := w.faultOf("sweep")
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

// wait advances the clock by the time that a decision waits.
func (w *world) wait(d decision) {
	pause := d.Wait.After
	if d.Wait.Backoff {
		pause = time.Second
	}
	w.advance(w.now.Add(pause))
}

// edit changes the spec, as a user does.
func (w *world) edit(do func(*v1alpha1.SubaccountSpec)) {
	do(&w.object.Spec)
	w.object.Generation++
}

func (w *world) remove() {
	w.released = len(w.object.Finalizers) == 0
	w.object.DeletionTimestamp = new(metav1.NewTime(w.now))
	w.object.Generation++
}
