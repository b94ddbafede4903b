package mainaccount

// guard is the mass-deletion guard. It is on while a complete sweep lacks so
// many recorded subaccounts that the list is doubted and not the subaccounts:
// nothing is recreated then, and no 404 counts.
type guard struct {
	implausible bool // by the last complete sweep
	confirmed   bool // a person says that the subaccounts are gone
}

func (g *guard) on() bool { return g.implausible && !g.confirmed }

// implausibleAtLeast is below how many missing subaccounts the guard never
// comes on: a few may well go at once.
const implausibleAtLeast = 10

func implausible(recorded, lacking int) bool {
	return lacking >= implausibleAtLeast && 2*lacking > recorded
}

// judge reads a complete sweep and returns whether it switched the guard. A
// confirmation ends once the list shows enough again.
func (g *guard) judge(lacks func(authID string) bool, recorded []string) bool {
	lacking := 0
	for _, authID := range recorded {
		if lacks(authID) {
			lacking++
		}
	}
	was := g.on()
	g.implausible = implausible(len(recorded), lacking)
	g.confirmed = g.confirmed && g.implausible
	return g.on() != was
}

// logGuard logs that the guard was switched, and by what.
func (a *Account) logGuard(by string) {
	a.log.Info("Switched the mass-deletion guard", "on", a.guard.on(), "by", by)
}
