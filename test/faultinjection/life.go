package faultinjection

import (
	"fmt"
	"time"
)

// patience is how long, by the fake clock, anything may take: several sweeps
// and settle times.
const patience = 40 * time.Minute

// run is one life of a Subaccount under a schedule: made, renamed, changed by
// hand at Plivo, removed; then a new process takes over. It returns the steps
// of that life, and how many of the faults it met.
func run(b backend, due schedule) (trace []*entry, met int, err error) {
	w := newWorld(b, due)
	w.apply()
	w.process = startProcess(w)
	defer w.end()
	for _, phase := range []struct {
		name  string
		begin func()
	}{
		{"made", func() {}},
		{"renamed", w.rename},
		{"put right", w.changeByHand},
		{"removed", w.remove},
		{"taken over", w.takeOver},
	} {
		if phase.name == "taken over" || !w.isRemoved() {
			phase.begin()
		}
		if err = w.until(phase.name); err != nil {
			break
		}
	}
	if err == nil {
		err = w.frugal()
	}
	return w.trace, len(due) - len(w.due), err
}

// takeOver ends the process, and lets a new one work on its own for so long
// that nothing can change any more.
func (w *world) takeOver() {
	w.mu.Lock()
	w.watching = false
	w.mu.Unlock()
	w.end()
	w.process = startProcess(w)
	time.Sleep(patience / 2)
}

// replace has another process lead. The one that leads now ends later.
func (w *world) replace(leaves time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process.leaves = leaves
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

// until waits, by the fake clock, until everything is exact.
func (w *world) until(phase string) (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
		w.nurse()
		if err = w.exact(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not %s: %w", phase, err)
}

// nurse does what the world around does by itself: a dead process is started
// again, and who has suspended a resource resumes it.
func (w *world) nurse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process.dead.Load() {
		w.former = append(w.former, w.process)
		w.process = startProcess(w)
	}
	for _, p := range w.former {
		if !p.dead.Load() && time.Now().After(p.leaves) {
			p.kill()
		}
	}
	if !w.resumeAt.IsZero() && time.Now().After(w.resumeAt) {
		w.resumeAt = time.Time{}
		w.patch(subaccountPath, `{"spec":{"suspend":null}}`)
	}
}
