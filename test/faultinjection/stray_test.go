// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// TestStray_SweepsWithinSettleTime_Stays sweeps every 15 s. The operator may delete
// the stray only after a sweep that begins 40 s, the settle time, after the first.
func TestStray_SweepsWithinSettleTime_Stays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(newMemory(), nil)
		w.patch(groupPath+"/accounts/default", `{"spec":{"sweepInterval":"15s"}}`)
		stray := w.sim.Add(mainID, "k8s-0a1b2c3d-01234567-89ab-cdef-0123-456789abcdef", false)
		w.process = startProcess(w)
		defer w.end()
		check := func(after time.Duration, wantSweeps int, wantStray bool) {
			time.Sleep(after)
			sweeps := slices.DeleteFunc(w.sim.Calls(), func(c plivosim.Call) bool { return c.Op != plivosim.OpList })
			if _, exists := w.sim.Subaccount(mainID, stray.AuthID); len(sweeps) != wantSweeps || exists != wantStray {
				t.Errorf("got %d sweeps, stray exists: %v; want %d, %v", len(sweeps), exists, wantSweeps, wantStray)
			}
		}
		check(10*time.Second, 1, true)
		check(28*time.Second, 3, true)
		check(12*time.Second, 4, false)
	})
}
