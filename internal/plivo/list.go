// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"fmt"
	"strings"
)

// maxSubaccounts limits the total of a list. A larger total is not plausible.
const maxSubaccounts = 2_000_000

// maxGrowth limits how much a list may grow during a reading: to twice the total of
// its first page plus this number. It ends a list that never ends.
const maxGrowth = 1000

// maxAgain limits how often ReadList reads one page again because the caller deletes
// faster than ReadList reads.
const maxAgain = 10

// Deletes counts the delete calls of the caller: how many it has sent, and how many of
// them have ended.
type Deletes struct{ Sent, Ended int }

// Reading is the result of reading a list to its end.
type Reading struct {
	// AddsUp says whether the list never got shorter, and showed at least as many rows
	// as the total of its first page and no more than that of its last one. Otherwise a
	// row may have moved to a page that was already read, or the total is wrong.
	AddsUp bool
	// Promised is the total of the first page, Seen the number of subaccounts that were
	// read, and Repeated the number of rows that showed one of them again.
	Promised, Seen, Repeated int
	// Shrunk says whether the list got shorter, apart from the caller's deletions.
	Shrunk bool
	// Skipped names the rows that could not be read.
	Skipped []string
}

// IsWhole says whether a subaccount that the reading lacks is not in the list. A row
// that could not be read may be any subaccount.
func (r *Reading) IsWhole() bool { return r.AddsUp && len(r.Skipped) == 0 }

// shownSkipped limits how many skipped rows String names.
const shownSkipped = 3

// String explains why the reading is not whole.
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

// ReadList reads a whole list with a function that reads the page at an offset.
//
// deletes returns the caller's own delete calls; nil means that it sends none. Each of
// them may move the later rows one place to the front. So ReadList starts the next
// page earlier by that number, and reads it again if the caller deleted more in the
// meantime. Without this, a caller that deletes in a loop would never get a whole
// reading.
func ReadList(read func(offset int) (Page, error), deletes func() Deletes) (Reading, error) {
	if deletes == nil {
		deletes = func() Deletes { return Deletes{} }
	}
	l := listing{rows: map[string]struct{}{}, deletesAtStart: deletes().Ended}
	l.Promised, l.deletesAtPage = -1, l.deletesAtStart
	for !l.ended {
		before := deletes()
		offset := max(0, l.covered-(before.Sent-l.deletesAtPage)-l.margin)
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

// listing is the part of a list that ReadList has read.
type listing struct {
	Reading
	rows  map[string]struct{} // auth IDs and skipped rows
	total int

	// covered is how many rows from the front have been read, as the list was at the
	// last page. The deletes are numbers of delete calls.
	covered        int
	deletesAtStart int // ended before the request for the first page
	deletesAtPage  int // ended before the request for the last page
	margin         int // sent during the request for the last page
	reads, again   int

	ended bool
}

func (l *listing) add(offset int, page Page, before, after Deletes) error {
	if l.Promised < 0 {
		l.Promised = page.Total
	}
	if page.Total > maxSubaccounts {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: fmt.Sprintf("the list claims more subaccounts than %d", maxSubaccounts)}
	}
	if l.reads++; max(offset, l.reads) > 2*l.Promised+maxGrowth {
		return &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list grows as fast as the operator reads it"}
	}
	l.count(page)
	l.margin = after.Sent - before.Sent
	moved := after.Sent - l.deletesAtPage
	if offset > max(0, l.covered-moved) { // a row may have moved before the offset
		l.again++
		l.ended = l.again > maxAgain
		return nil
	}
	l.again = 0
	l.Shrunk = l.Shrunk || page.Total < l.total-moved
	l.total, l.covered, l.deletesAtPage = page.Total, offset+page.rows(), before.Ended
	if page.rows() == 0 || l.covered >= l.total {
		hasPromised := l.Seen+len(l.Skipped) >= l.Promised-(after.Sent-l.deletesAtStart)
		l.ended, l.AddsUp = true, !l.Shrunk && l.covered <= l.total && hasPromised
	}
	return nil
}

// count adds the rows of a page.
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
