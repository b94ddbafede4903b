// SPDX-License-Identifier: Apache-2.0

package mainaccount

// guard is the mass-deletion guard. It is on if the last complete sweep lacks so
// many recorded subaccounts that the list is probably wrong. The operator then
// recreates nothing, and no 404 counts.
type guard struct {
	massDisappearance bool // in the last complete sweep
	confirmed         bool // a person confirms that the subaccounts are gone
}

func (g *guard) isOn() bool { return g.massDisappearance && !g.confirmed }

// guardThreshold is the least number of missing subaccounts for the guard: a person
// may well delete a few subaccounts at once.
const guardThreshold = 10

func isMassDisappearance(recorded, lacking int) bool {
	return lacking >= guardThreshold && 2*lacking > recorded
}

// update evaluates a complete sweep and returns whether the guard has switched. A
// confirmation ends once a sweep shows enough subaccounts again.
func (g *guard) update(lacks func(authID string) bool, recorded []string) bool {
	lacking := 0
	for _, authID := range recorded {
		if lacks(authID) {
			lacking++
		}
	}
	was := g.isOn()
	g.massDisappearance = isMassDisappearance(len(recorded), lacking)
	g.confirmed = g.confirmed && g.massDisappearance
	return g.isOn() != was
}

// logGuard logs that the guard has switched, and why.
func (a *Account) logGuard(by string) {
	a.log.Info("Switched the mass-deletion guard", "on", a.guard.isOn(), "by", by)
}
