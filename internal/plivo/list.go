package plivo

// maxSubaccounts bounds what is read of a list: one that claims more is not
// believed.
const maxSubaccounts = 2_000_000

// maxGrowth bounds how much a list may grow while it is read: to twice what its
// first page promised and this many more. One that pages on for ever ends there.
const maxGrowth = 1000

// maxAgain bounds how often one page is read again because the reader itself
// deletes faster than it reads.
const maxAgain = 10

// Deletes counts the calls that delete a subaccount and are the reader's own:
// how many were sent, and how many of these have ended.
type Deletes struct{ Sent, Ended int }

// ReadList reads a whole list, page after page, by a function that reads the
// one at an offset. The reading is whole if the list never got shorter
// meanwhile and showed at least as many subaccounts as its first page promised:
// paging by offset can miss what moves.
//
// What the reader itself deletes meanwhile, as deletes (nil: nothing) tells, is
// no surprise: it moves what stands behind it to the front, so that the next
// page begins as much earlier, and is read again if more was deleted while it
// was read. Whoever deletes in a loop must not keep every reading from being
// whole.
func ReadList(read func(offset int) (Page, error), deletes func() Deletes) (whole bool, err error) {
	if deletes == nil {
		deletes = func() Deletes { return Deletes{} }
	}
	l := listing{seen: map[string]struct{}{}, promised: -1, begun: deletes().Ended}
	l.since = l.begun
	for !l.ended {
		before := deletes()
		offset := max(0, l.covered-(before.Sent-l.since)-l.margin)
		page, err := read(offset)
		if err == nil {
			err = l.take(offset, page, before, deletes())
		}
		if err != nil {
			return false, err
		}
	}
	return l.whole, nil
}

// listing is a list as far as it has been read.
type listing struct {
	seen     map[string]struct{}
	promised int // by the first page
	total    int
	shrunk   bool // for another reason than the reader's own deletions

	// covered is how many rows from the front have been seen, as the list was at
	// the last page; since is how many deletions had ended before that was asked for.
	covered, since int
	begun          int // how many had ended before the first page
	margin         int // how many began while the last page was read
	reads, again   int

	ended, whole bool
}

func (l *listing) take(offset int, page Page, before, after Deletes) error {
	if l.promised < 0 {
		l.promised = page.Total
	}
	if page.Total > maxSubaccounts {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list claims to be longer than any list can be"}
	}
	if l.reads++; max(offset, l.reads) > 2*l.promised+maxGrowth {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list grows as fast as it is read"}
	}
	for _, s := range page.Subaccounts {
		l.seen[s.AuthID] = struct{}{}
	}
	l.margin = after.Sent - before.Sent
	moved := after.Sent - l.since
	if offset > max(0, l.covered-moved) { // a row may have slipped through
		l.again++
		l.ended = l.again > maxAgain
		return nil
	}
	l.again = 0
	l.shrunk = l.shrunk || page.Total < l.total-moved
	l.total, l.covered, l.since = page.Total, offset+len(page.Subaccounts), before.Ended
	if len(page.Subaccounts) == 0 || l.covered >= l.total {
		l.ended, l.whole = true, !l.shrunk && len(l.seen) >= l.promised-(after.Sent-l.begun)
	}
	return nil
}
