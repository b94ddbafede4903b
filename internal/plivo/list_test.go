package plivo

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// shelf is a list at Plivo, newest first, with whoever reads it deleting from
// it: some deletions take effect while they are under way, some at their end.
type shelf struct {
	t       *rapid.T
	rows    []string
	made    int
	sent    []string // deletions under way
	deletes Deletes
	gone    map[string]bool
}

// inFlight bounds the deletions under way, as the reader's workers do. Without a
// bound, the reader steps back as fast as it reads, and gives up in the end.
const inFlight = 10

func (s *shelf) remove(id string) {
	s.gone[id] = true
	s.rows = slices.DeleteFunc(s.rows, func(r string) bool { return r == id })
}

// happen lets things happen between two moments of the reader.
func (s *shelf) happen() {
	for range rapid.IntRange(0, 3).Draw(s.t, "events") {
		switch rapid.IntRange(0, 3).Draw(s.t, "event") {
		case 0:
			s.made++
			s.rows = slices.Insert(s.rows, 0, strconv.Itoa(s.made))
		case 1:
			if len(s.rows) > 0 && len(s.sent) < inFlight {
				s.sent = append(s.sent, rapid.SampledFrom(s.rows).Draw(s.t, "deleted"))
				s.deletes.Sent++
			}
		case 2:
			if len(s.sent) > 0 { // takes effect, unanswered
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

func (s *shelf) read() (seen map[string]bool, whole bool, err error) {
	seen = map[string]bool{}
	reading, err := ReadList(func(offset int) (Page, error) {
		s.happen() // on its way
		page := Page{Total: len(s.rows)}
		for i := offset; i < min(offset+MaxPageSize, len(s.rows)); i++ {
			seen[s.rows[i]] = true
			page.Subaccounts = append(page.Subaccounts, Subaccount{AuthID: s.rows[i]})
		}
		s.happen() // on its way back
		return page, nil
	}, func() Deletes { return s.deletes })
	return seen, reading.IsWhole(), err
}

func TestAWholeReadingHasMissedNothing(t *testing.T) {
	whole := 0
	rapid.Check(t, func(t *rapid.T) {
		s := &shelf{t: t, gone: map[string]bool{}}
		for range rapid.IntRange(0, 130).Draw(t, "rows") {
			s.made++
			s.rows = append(s.rows, strconv.Itoa(s.made))
		}
		stood := slices.Clone(s.rows)
		s.happen()
		seen, ok, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		whole++
		for _, id := range stood {
			if !seen[id] && !s.gone[id] {
				t.Fatalf("missed %s", id)
			}
		}
	})
	if whole == 0 {
		t.Error("none was whole")
	}
}

func TestAQuietListIsReadPageByPage(t *testing.T) {
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
			t.Errorf("%d rows: %d reads, want %d; %+v, %v", n, reads, want, reading, err)
		}
	}
}

func TestReadList_SkippedOrRepeatedRows_AreCountedAndNotWhole(t *testing.T) {
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
		{"a skipped row", []Page{rows("a", "b"), withSkipped(rows("c"), "row 4")}, true,
			"it promised 4 subaccounts, showed 3, and repeated 0 rows; rows that cannot be read: 1 (row 4)"},
		{"a skipped row shown twice", []Page{withSkipped(rows("a"), absentID), withSkipped(rows("c"), absentID)}, false,
			"it promised 4 subaccounts, showed 2, and repeated 0 rows; rows that cannot be read: 1 (" + absentID + ")"},
		{"many skipped rows", []Page{withSkipped(rows(), "row 1", "row 2", "row 3", "row 4")}, true,
			"it promised 4 subaccounts, showed 0, and repeated 0 rows; rows that cannot be read: 4 (row 1, row 2, row 3, …)"},
		{"repeated rows", []Page{rows("a", "b"), rows("b", "c")}, false, "it promised 4 subaccounts, showed 3, and repeated 1 rows"},
		{"a list that gets shorter", []Page{rows("a", "b"), {Total: 3, Subaccounts: rows("c", "d").Subaccounts}}, false,
			"it promised 4 subaccounts, showed 4, and repeated 0 rows; it got shorter meanwhile"},
		{"too few rows", []Page{rows("a", "b", "c"), rows()}, false, "it promised 4 subaccounts, showed 3, and repeated 0 rows"},
	}
	for _, c := range cases {
		reads := 0
		reading, err := ReadList(func(int) (Page, error) { reads++; return c.pages[reads-1], nil }, nil)
		if err != nil || reading.AddsUp != c.addsUp || reading.IsWhole() || reading.String() != c.wantText {
			t.Errorf("%s: %q, adds up: %v, whole: %v, %v", c.name, reading.String(), reading.AddsUp, reading.IsWhole(), err)
		}
	}
}
