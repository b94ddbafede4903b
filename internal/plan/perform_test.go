// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// perform does one step in the world and folds in its response.
func (w *world) perform(o *observation, d decision, f fault) {
	fail := func(kind plan.FailureKind) {
		o.Failure = &plan.Failure{Step: d.Step, Kind: kind, Message: "failed"}
	}
	switch d.Step {
	case plan.StepGet, plan.StepUpdate, plan.StepDelete:
		w.call(o, d, f, fail)
	case plan.StepCreate:
		w.performCreate(o, f, fail)
	default:
		if f == refusal || f == lostCall {
			fail(plan.FailureKubernetes)
			return
		}
		w.write(o, d)
		if f == committed {
			fail(plan.FailureKubernetes)
		}
	}
	if o.Failure == nil || o.Failure.Step != d.Step {
		o.Performed = append(o.Performed, d.Step)
	}
}

// write does a step at the API server.
func (w *world) write(o *observation, d decision) {
	m, s := &w.memory, w.object
	switch d.Step {
	case plan.StepReadCRD, plan.StepReadSecret:
	case plan.StepReadClaim:
		m.confirmed = true
	case plan.StepAddFinalizer:
		s.Finalizers = append(s.Finalizers, v1alpha1.Finalizer)
	case plan.StepRemoveFinalizer:
		s.Finalizers, w.released = nil, true
	case plan.StepDeclareIntent:
		attempt := fmt.Sprintf("attempt %d", len(w.trace))
		o.ReplacedAuthID = s.Status.AuthID
		if o.ReplacedAuthID != "" {
			s.Status.PreviousAuthID = o.ReplacedAuthID
		}
		if s.Status.ObservedGeneration == -1 {
			s.Status.ObservedGeneration = s.Generation
		}
		s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: attempt, AccountID: mainID}
		s.Status.AuthID, s.Status.AccountID, m.confirmed = "", "", false
		o.DeclaredAttempt, o.HasToken = attempt, false
	case plan.StepClearIntent:
		s.Status.PendingCreation = nil
	case plan.StepRecord:
		s.Status.PendingCreation, s.Status.AuthID, s.Status.AccountID = nil, d.AuthID, mainID
		m.held, o.HeldResponse = nil, nil
	case plan.StepWriteSecret:
		secret := plan.Secret{Owned: true, AuthID: s.Status.AuthID, TokenDigest: m.rows[s.Status.AuthID].TokenDigest, WellFormed: true, MetadataUpToDate: true}
		w.secret, o.Secret = plan.Known(secret), plan.Known(secret)
	case plan.StepRemoveSecret:
		w.secret, o.Secret = plan.Absent[plan.Secret](), plan.Absent[plan.Secret]()
	default:
		panic("no such step here: " + d.Step)
	}
}

func (w *world) performCreate(o *observation, f fault, fail func(plan.FailureKind)) {
	m, attempt := &w.memory, o.DeclaredAttempt
	o.DeclaredAttempt = ""
	switch f {
	case refusal:
		m.refused, o.RefusedAttempt = attempt, attempt
		fail(plan.FailureRefused)
	case lostCall:
	case late:
		w.late = append(w.late, w.now.Add(settle-time.Second))
	case committed, crashed:
		w.create()
	default:
		id := w.create()
		m.held = &plan.HeldResponse{Attempt: attempt, AuthID: id, AccountID: mainID}
		m.rows[id], m.rowsAt[id] = w.live[id], w.now
		o.HeldResponse, o.HasToken, o.Fetched = m.held, true, true
	}
}

// call does a step at Plivo for one subaccount.
func (w *world) call(o *observation, d decision, f fault, fail func(plan.FailureKind)) {
	m := &w.memory
	_, exists := w.live[d.AuthID]
	apply := func() {
		switch d.Step {
		case plan.StepUpdate:
			r := w.live[d.AuthID]
			r.Name, r.Enabled = d.Name, d.Enabled
			w.live[d.AuthID] = r
		case plan.StepDelete:
			delete(w.live, d.AuthID)
		}
	}
	switch {
	case f == refusal:
		fail(plan.FailureRefused)
	case f == lostCall || f == late || f == committed:
		if f == committed && exists {
			apply()
		}
		if r, ok := m.rows[d.AuthID]; ok && d.Step == plan.StepUpdate {
			r.UpdateUnconfirmed = true
			m.rows[d.AuthID], m.rowsAt[d.AuthID] = r, w.now
		}
		fail(plan.FailureUnknown)
	case !exists || f == wrong404:
		n := m.notFound[d.AuthID]
		if n.First.IsZero() {
			n.First = w.now
		}
		n.Last = w.now
		if sweep, ok := m.swept.Get(); ok && n.MissingSince.IsZero() && m.rowsAt[d.AuthID].Before(sweep.Started) {
			n.MissingSince = sweep.Started
		}
		m.notFound[d.AuthID] = n
		o.Fetched = o.Fetched || d.Step == plan.StepGet
	default:
		apply()
		delete(m.notFound, d.AuthID)
		if d.Step == plan.StepDelete {
			m.deleted = d.AuthID
			delete(m.rows, d.AuthID)
			return
		}
		m.rows[d.AuthID], m.rowsAt[d.AuthID] = w.live[d.AuthID], w.now
		if d.Step == plan.StepGet {
			o.Fetched, o.HasToken = true, true
		}
	}
}

// liveIDs returns the subaccounts at Plivo.
func (w *world) liveIDs() []string {
	var ids []string
	for id := range w.live {
		ids = append(ids, id)
	}
	return slices.Sorted(slices.Values(ids))
}
