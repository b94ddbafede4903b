// SPDX-License-Identifier: Apache-2.0

package account

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestConfirmDisappearance_NewValueWhileGuardIsOn_TurnsItOff(t *testing.T) {
	// Each step is one of these constants or a value of the annotation.
	const lose, find, restart, down = "lose", "find", "restart", "down"
	cases := map[string]struct {
		steps []string
		on    bool // the guard, after the last step
	}{
		"no confirmation":                            {[]string{lose}, true},
		"a fresh value":                              {[]string{lose, "v1"}, false},
		"a value instead of last year's":             {[]string{"old", lose, "v1"}, false},
		"last year's value":                          {[]string{"old", lose}, true},
		"last year's value, after a restart":         {[]string{"old", lose, restart}, true},
		"last year's value is removed":               {[]string{"old", lose, ""}, true},
		"removed and set again":                      {[]string{"old", lose, "", "old"}, true},
		"removed before, and set again":              {[]string{"old", "", lose, "old"}, false},
		"a fresh value, then a restart":              {[]string{lose, "v1", restart}, false},
		"a fresh value while the process is down":    {[]string{lose, down, "v1", restart}, false},
		"removed while the process is down":          {[]string{"old", lose, down, "", restart}, true},
		"a value while down, before the guard":       {[]string{down, "v1", lose, restart}, true},
		"a value before the guard, then a restart":   {[]string{"v1", restart, lose}, true},
		"the same value for the second time":         {[]string{lose, "v1", find, lose}, true},
		"the same value twice, and restarts between": {[]string{lose, "v1", restart, find, restart, lose, restart}, true},
		"another value for the second time":          {[]string{lose, "v1", find, lose, "v2"}, false},
		"the list shows them again":                  {[]string{lose, find}, false},
		"an upgrade with last year's value":          {[]string{down, "old", lose, restart, restart}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			withAccounts(t, func(t *testing.T, r *accountRig) {
				r.account("a", testMain)
				r.recorded("a", testMain, 12)
				r.settle("a")
				var fault int
				running := true
				for _, step := range c.steps {
					switch step {
					case lose:
						fault = r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Rows: plivosim.None})
					case find:
						r.sim.RemoveFault(fault)
					case down:
						running = false
						continue
					case restart:
						running = true
						r.start()
					default:
						r.annotate("a", step)
					}
					if running {
						r.settle("a")
						r.sweep("a")
					}
				}
				if r.isGuardOn("a") != c.on {
					t.Errorf("got guard on %v, want %v", !c.on, c.on)
				}
				if c.on {
					r.wantReason("a", v1alpha1.ReasonInventoryImplausible)
				} else {
					r.wantReason("a", v1alpha1.ReasonReady)
				}
			})
		})
	}
}
