package mainaccount

// guard is the mass-deletion guard. It is on while a complete sweep lacks so
// many recorded subaccounts that the list is doubted and not the subaccounts:
// nothing is recreated then, and no 404 counts.
type guard struct {
	massDisappearance bool // by the last complete sweep
	confirmed         bool // a person says that the subaccounts are gone
}

func (g *guard) isOn() bool { return g.massDisappearance && !g.confirmed }

// guardThreshold is below how many missing subaccounts the guard never
// comes on: a few may well go at once.
const guardThreshold = 10

func isMassDisappearance(recorded, lacking int) bool {
	return lacking >= guardThreshold && 2*lacking > recorded
}

// update reads a complete sweep and returns whether it switched the guard. A
// confirmation ends once the list shows enough again.
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

// logGuard logs that the guard was switched, and by what.
func (a *Account) logGuard(by string) {
	a.log.Info("Switched the mass-deletion guard", "on", a.guard.isOn(), "by", by)
}
