// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"fmt"
	"time"
)

// phaseTimeout is the limit for each phase by the fake clock. It is longer than several
// sweeps and settle times.
const phaseTimeout = 40 * time.Minute

// run runs one life of a Subaccount under a schedule: created, renamed, changed at Plivo,
// deleted, and at last reconciled by a new process. It returns the steps of that life and
// the number of injections that it reached.
func run(b backend, due schedule) (trace []*entry, injected int, err error) {
	w := newWorld(b, due)
	w.apply()
	w.process = startProcess(w)
	defer w.end()
	for _, phase := range []struct {
		name  string
		begin func()
	}{
		{"created", func() {}},
		{"renamed", w.rename},
		{"restored", w.changeAtPlivo},
		{"deleted", w.remove},
		{takenOver, w.takeOver},
	} {
		if phase.name == takenOver || !w.isRemoved() {
			phase.begin()
		}
		if err = w.awaitExact(phase.name); err != nil {
			break
		}
	}
	if err == nil {
		err = w.checkCreations()
	}
	return w.trace, len(due) - len(w.due), err
}

const takenOver = "taken over"

// takeOver ends all processes and lets a new one run until it has no work left.
func (w *world) takeOver() {
	w.mu.Lock()
	w.recording = false
	w.mu.Unlock()
	w.end()
	w.process = startProcess(w)
	time.Sleep(phaseTimeout / 2)
}

// startSuccessor starts a process that leads. The current one continues until killAt.
func (w *world) startSuccessor(killAt time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process.killAt = killAt
	w.former = append(w.former, w.process)
	w.process = startProcess(w)
}

// end ends all processes.
func (w *world) end() {
	for _, p := range append(w.former, w.process) {
		p.kill()
		<-p.done
	}
	w.former = nil
}

// awaitExact waits, by the fake clock, until the exact rule holds.
func (w *world) awaitExact(phase string) (err error) {
	for deadline := time.Now().Add(phaseTimeout); time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
		w.maintain()
		if err = w.checkExact(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("phase %q did not end exact: %w", phase, err)
}

// maintain does what happens without the operator: Kubernetes restarts a dead process, and
// the user resumes a suspended Subaccount.
func (w *world) maintain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process.dead.Load() {
		w.former = append(w.former, w.process)
		w.process = startProcess(w)
	}
	for _, p := range w.former {
		if !p.dead.Load() && time.Now().After(p.killAt) {
			p.kill()
		}
	}
	if !w.resumeAt.IsZero() && time.Now().After(w.resumeAt) {
		w.resumeAt = time.Time{}
		w.patch(subaccountPath, `{"spec":{"suspend":null}}`)
	}
}
