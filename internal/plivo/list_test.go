// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// changingList is a list at Plivo, newest first. Its reader also deletes from it: a
// deletion takes effect during the call or at its end.
type changingList struct {
	t       *rapid.T
	rows    []string
	created int
	sent    []string // deletions that have not ended
	deletes Deletes
	deleted map[string]bool
}

// inFlight limits the deletions that have not ended, as the operator's workers do.
// Without a limit, ReadList steps back as fast as it reads and gives up in the end.
const inFlight = 10

func (s *changingList) remove(id string) {
	s.deleted[id] = true
	s.rows = slices.DeleteFunc(s.rows, func(r string) bool { return r == id })
}

// change makes random changes between two moments of the reader.
func (s *changingList) change() {
	for range rapid.IntRange(0, 3).Draw(s.t, "events") {
		switch rapid.IntRange(0, 3).Draw(s.t, "event") {
		case 0:
			s.created++
			s.rows = slices.Insert(s.rows, 0, strconv.Itoa(s.created))
		case 1:
			if len(s.rows) > 0 && len(s.sent) < inFlight {
				s.sent = append(s.sent, rapid.SampledFrom(s.rows).Draw(s.t, "deletion"))
				s.deletes.Sent++
			}
		case 2:
			if len(s.sent) > 0 { // takes effect without a response
				s.remove(s.sent[0])
			}
		case 3:
			if len(s.sent) > 0 {
				s.remove(s.sent[0])
				s.sent = s.sent[1:]
				s.deletes.Ended++
			}
		}
	}
}

func (s *changingList) read() (seen map[string]bool, whole bool, err error) {
	seen = map[string]bool{}
	reading, err := ReadList(func(offset int) (Page, error) {
		s.change() // before the request arrives
		page := Page{Total: len(s.rows)}
		for i := offset; i < min(offset+MaxPageSize, len(s.rows)); i++ {
			seen[s.rows[i]] = true
			page.Subaccounts = append(page.Subaccounts, Subaccount{AuthID: s.rows[i]})
		}
		s.change() // before the response arrives
		return page, nil
	}, func() Deletes { return s.deletes })
	return seen, reading.IsWhole(), err
}

func TestReadList_WholeReading_HasAllRows(t *testing.T) {
	whole := 0
	rapid.Check(t, func(t *rapid.T) {
		s := &changingList{t: t, deleted: map[string]bool{}}
		for range rapid.IntRange(0, 130).Draw(t, "rows") {
			s.created++
			s.rows = append(s.rows, strconv.Itoa(s.created))
		}
		original := slices.Clone(s.rows)
		s.change()
		seen, ok, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		whole++
		for _, id := range original {
			if !seen[id] && !s.deleted[id] {
				t.Fatalf("got a whole reading without %s", id)
			}
		}
	})
	if whole == 0 {
		t.Error("got no whole reading, want some")
	}
}

func TestReadList_UnchangedList_ReadsEachPageOnce(t *testing.T) {
	for _, n := range []int{0, 1, 20, 21, 1000} {
		reads := 0
		reading, err := ReadList(func(offset int) (Page, error) {
			reads++
			page := Page{Total: n}
			for i := offset; i < min(offset+MaxPageSize, n); i++ {
				page.Subaccounts = append(page.Subaccounts, Subaccount{AuthID: strconv.Itoa(i)})
			}
			return page, nil
		}, func() Deletes { return Deletes{Sent: 7, Ended: 7} })
		if want := max(1, (n+MaxPageSize-1)/MaxPageSize); err != nil || !reading.IsWhole() || reads != want || reading.Seen != n {
			t.Errorf("%d rows: got %d reads, want %d; reading %+v, %v", n, reads, want, reading, err)
		}
	}
}

func TestReadList_TotalBelowRows_IsNotWhole(t *testing.T) {
	for _, total := range []int{0, 5, 25} {
		reading, err := ReadList(func(offset int) (Page, error) {
			page := Page{Total: total}
			for i := offset; i < min(offset+MaxPageSize, 45); i++ {
				page.Subaccounts = append(page.Subaccounts, Subaccount{AuthID: strconv.Itoa(i)})
			}
			return page, nil
		}, nil)
		if err != nil || reading.IsWhole() {
			t.Errorf("total %d: got %+v, %v; want a reading that is not whole", total, reading, err)
		}
	}
}

func TestReadList_SkippedOrRepeatedRows_IsNotWhole(t *testing.T) {
	rows := func(ids ...string) (page Page) {
		for _, id := range ids {
			page.Subaccounts = append(page.Subaccounts, Subaccount{AuthID: id})
		}
		page.Total = 4
		return page
	}
	withSkipped := func(page Page, skipped ...string) Page { page.Skipped = skipped; return page }
	cases := []struct {
		name     string
		pages    []Page
		addsUp   bool
		wantText string
	}{
		{"skipped row", []Page{rows("a", "b"), withSkipped(rows("c"), "row 4")}, true,
			"it promised 4 subaccounts, showed 3, and repeated 0 rows; rows that cannot be read: 1 (row 4)"},
		{"skipped row, shown twice", []Page{withSkipped(rows("a"), absentID), withSkipped(rows("c"), absentID)}, false,
			"it promised 4 subaccounts, showed 2, and repeated 0 rows; rows that cannot be read: 1 (" + absentID + ")"},
		{"many skipped rows", []Page{withSkipped(rows(), "row 1", "row 2", "row 3", "row 4")}, true,
			"it promised 4 subaccounts, showed 0, and repeated 0 rows; rows that cannot be read: 4 (row 1, row 2, row 3, …)"},
		{"repeated rows", []Page{rows("a", "b"), rows("b", "c")}, false, "it promised 4 subaccounts, showed 3, and repeated 1 rows"},
		{"list gets shorter", []Page{rows("a", "b"), {Total: 3, Subaccounts: rows("c", "d").Subaccounts}}, false,
			"it promised 4 subaccounts, showed 4, and repeated 0 rows; it got shorter meanwhile"},
		{"too few rows", []Page{rows("a", "b", "c"), rows()}, false, "it promised 4 subaccounts, showed 3, and repeated 0 rows"},
	}
	for _, c := range cases {
		reads := 0
		reading, err := ReadList(func(int) (Page, error) { reads++; return c.pages[reads-1], nil }, nil)
		if err != nil || reading.AddsUp != c.addsUp || reading.IsWhole() || reading.String() != c.wantText {
			t.Errorf("%s: got %q, adds up %v, whole %v, %v; want %q, %v, false", c.name, reading.String(), reading.AddsUp, reading.IsWhole(), err, c.wantText, c.addsUp)
		}
	}
}
