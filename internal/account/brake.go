package account

// brake is on while a complete sweep lacks so many recorded subaccounts that
// the list is doubted and not the subaccounts: nothing is made anew then, and
// no 404 counts.
type brake struct {
	on bool
	// confirmation is the last value that a person gave, and seen the one that
	// stood when the brake came on.
	confirmation, seen string
	// heard: the first value that this process hears of stood before it, and
	// confirms nothing, even where the brake came on sooner.
	heard bool
	// confirmed: a person has let the brake go; it stays off until the list shows
	// enough again.
	confirmed bool
}

// implausibleAtLeast is below how many missing subaccounts the brake never
// comes on: a few may well go at once.
const implausibleAtLeast = 10

func implausible(recorded, lacking int) bool {
	return lacking >= implausibleAtLeast && 2*lacking > recorded
}

// judge looks at a complete sweep and returns whether the brake came on or
// went off by it.
func (b *brake) judge(lacks func(authID string) bool, recorded []string) bool {
	lacking := 0
	for _, authID := range recorded {
		if lacks(authID) {
			lacking++
		}
	}
	was := b.on
	switch {
	case !implausible(len(recorded), lacking):
		b.on, b.confirmed = false, false
	case !b.on && !b.confirmed:
		b.on, b.seen = true, b.confirmation
	}
	return b.on != was
}

func (b *brake) confirm(value string) bool {
	b.confirmation = value
	if !b.heard {
		b.heard, b.seen = true, value
	}
	if !b.on || value == b.seen {
		return false
	}
	b.on, b.confirmed = false, true
	return true
}
