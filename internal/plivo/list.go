package plivo

import (
	"fmt"
	"strings"
)

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

// Reading is what a list has shown when it was read to its end.
type Reading struct {
	// AddsUp: the list never got shorter meanwhile and showed at least as many
	// rows as its first page promised. Paging by offset can miss what moves.
	AddsUp bool
	// Promised is how many subaccounts the first page promised, Seen how many were
	// read, and Repeated how many rows showed one of these again.
	Promised, Seen, Repeated int
	// Shrunk: it got shorter, for another reason than the reader's own deletions.
	Shrunk bool
	// Skipped names the rows that could not be read.
	Skipped []string
}

// IsWhole says whether what the reading lacks is not in the list. A row that
// could not be read may be any subaccount.
func (r *Reading) IsWhole() bool { return r.AddsUp && len(r.Skipped) == 0 }

// shownSkipped bounds how many skipped rows String names.
const shownSkipped = 3

// String says how the list does not add up.
func (r *Reading) String() string {
	text := fmt.Sprintf("it promised %d subaccounts, showed %d, and repeated %d rows", r.Promised, r.Seen, r.Repeated)
	if r.Shrunk {
		text += "; it got shorter meanwhile"
	}
	if n := len(r.Skipped); n > 0 {
		text += fmt.Sprintf("; rows that cannot be read: %d (%s", n, strings.Join(r.Skipped[:min(n, shownSkipped)], ", "))
		if n > shownSkipped {
			text += ", …"
		}
		text += ")"
	}
	return text
}

// ReadList reads a whole list, page after page, by a function that reads the
// one at an offset.
//
// What the reader itself deletes meanwhile, as deletes (nil: nothing) tells, is
// no surprise: it moves what stands behind it to the front, so that the next
// page begins as much earlier, and is read again if more was deleted while it
// was read. Whoever deletes in a loop must not keep every reading from being
// whole.
func ReadList(read func(offset int) (Page, error), deletes func() Deletes) (Reading, error) {
	if deletes == nil {
		deletes = func() Deletes { return Deletes{} }
	}
	l := listing{rows: map[string]struct{}{}, begun: deletes().Ended}
	l.Promised, l.since = -1, l.begun
	for !l.ended {
		before := deletes()
		offset := max(0, l.covered-(before.Sent-l.since)-l.margin)
		page, err := read(offset)
		if err == nil {
			err = l.add(offset, page, before, deletes())
		}
		if err != nil {
			return Reading{}, err
		}
	}
	return l.Reading, nil
}

// listing is a list as far as it has been read.
type listing struct {
	Reading
	rows  map[string]struct{} // that were noted
	total int

	// covered is how many rows from the front have been seen, as the list was at
	// the last page; since is how many deletions had ended before that was asked for.
	covered, since int
	begun          int // how many had ended before the first page
	margin         int // how many began while the last page was read
	reads, again   int

	ended bool
}

func (l *listing) add(offset int, page Page, before, after Deletes) error {
	if l.Promised < 0 {
		l.Promised = page.Total
	}
	if page.Total > maxSubaccounts {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list claims to be longer than any list can be"}
	}
	if l.reads++; max(offset, l.reads) > 2*l.Promised+maxGrowth {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list grows as fast as it is read"}
	}
	l.count(page)
	l.margin = after.Sent - before.Sent
	moved := after.Sent - l.since
	if offset > max(0, l.covered-moved) { // a row may have slipped through
		l.again++
		l.ended = l.again > maxAgain
		return nil
	}
	l.again = 0
	l.Shrunk = l.Shrunk || page.Total < l.total-moved
	l.total, l.covered, l.since = page.Total, offset+page.rows(), before.Ended
	if page.rows() == 0 || l.covered >= l.total {
		l.ended, l.AddsUp = true, !l.Shrunk && l.Seen+len(l.Skipped) >= l.Promised-(after.Sent-l.begun)
	}
	return nil
}

// count takes in the rows of a page.
func (l *listing) count(page Page) {
	for _, s := range page.Subaccounts {
		if l.isNew(s.AuthID) {
			l.Seen++
		} else {
			l.Repeated++
		}
	}
	for _, row := range page.Skipped {
		if l.isNew(row) {
			l.Skipped = append(l.Skipped, row)
		}
	}
}

func (l *listing) isNew(row string) bool {
	_, known := l.rows[row]
	l.rows[row] = struct{}{}
	return !known
}
