// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"slices"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

const (
	id      = "SAAAAAAAAAAAAAAAAAAA"
	markerA = "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef"
	markerB = "k8s-01234567-11234567-89ab-cdef-0123-456789abcdef"
)

func at(second int) time.Time { return time.Unix(int64(second), 0) }

func TestInventory_OlderRead_DoesNotReplaceNewerWrite(t *testing.T) {
	type step func(*inventory)
	read := func(name string, sentAt int) step {
		return func(v *inventory) { v.setRead(id, row{name: name}, at(sentAt)) }
	}
	updated := func(name string, endedAt int) step {
		return func(v *inventory) { v.setUpdated(id, name, true, at(endedAt)) }
	}
	deleted := func(endedAt int) step { return func(v *inventory) { v.setDeleted(id, at(endedAt)) } }
	unconfirmed := func(endedAt int) step { return func(v *inventory) { v.setUpdateUnconfirmed(id, at(endedAt)) } }
	complete := func(started int) step { return func(v *inventory) { v.endSweep(at(started)) } }
	cases := []struct {
		name  string
		steps []step
		want  string // the row's name, "gone" or "none"; with "?" if the update is unconfirmed
	}{
		{"later read", []step{read("a", 1), read("b", 2)}, "b"},
		{"earlier read", []step{read("b", 2), read("a", 1)}, "b"},
		{"read sent before the response to a write", []step{read("a", 1), updated("b", 5), read("a", 4)}, "b"},
		{"read sent after the response to a write", []step{updated("b", 5), read("a", 6)}, "a"},
		{"update after a deletion", []step{deleted(5), updated("b", 6)}, "b"},
		{"lost response", []step{read("a", 1), unconfirmed(5)}, "a?"},
		{"lost response, older read", []step{read("a", 1), unconfirmed(5), read("a", 4)}, "a?"},
		{"lost response, later read", []step{read("a", 1), unconfirmed(5), read("a", 6)}, "a"},
		{"lost response, then an update", []step{read("a", 1), unconfirmed(5), updated("b", 6)}, "b"},
		{"deletion, older page", []step{read("a", 1), deleted(5), read("a", 4)}, "gone"},
		{"deletion, later page", []step{deleted(5), read("a", 6)}, "a"},
		{"deletion, earlier sweep", []step{deleted(5), complete(4)}, "gone"},
		{"deletion, later sweep", []step{deleted(5), complete(6)}, "none"},
		{"missing in a sweep, older read", []step{deleted(5), complete(6), read("a", 4)}, "none"},
		{"missing in a sweep, later read", []step{complete(6), read("a", 7)}, "a"},
		{"complete sweep without the row", []step{read("a", 1), complete(2)}, "none"},
		{"complete sweep with the row", []step{read("a", 3), complete(2)}, "a"},
		{"update during a sweep", []step{read("a", 1), updated("b", 3), complete(2)}, "b"},
	}
	for _, c := range cases {
		v := newInventory()
		for _, s := range c.steps {
			s(&v)
		}
		got := "none"
		if r, ok := v.rows[id]; ok {
			got = r.name
			if r.deleted {
				got = "gone"
			}
			if r.updateUnconfirmed {
				got += "?"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if v.isMissing(id) != (c.want == "none") {
			t.Errorf("%s: got isMissing %v, want the opposite", c.name, v.isMissing(id))
		}
	}
}

func TestInventory_RowChanges_UpdateMarkerIndex(t *testing.T) {
	v := newInventory()
	want := func(marker string, ids ...string) {
		t.Helper()
		if got := slices.Sorted(slices.Values(v.markers[marker])); !slices.Equal(got, ids) {
			t.Errorf("%s: got %v, want %v", marker, got, ids)
		}
	}
	v.setRead("SA1", row{name: markerA}, at(1))
	v.setRead("SA2", row{name: markerA}, at(1))
	v.setRead("SA3", row{name: "x" + markerA}, at(1)) // the marker must be the whole name
	want(markerA, "SA1", "SA2")
	v.setRead("SA1", row{name: markerA}, at(2)) // again: not twice
	want(markerA, "SA1", "SA2")
	v.setUpdated("SA1", markerB, true, at(3))
	want(markerA, "SA2")
	want(markerB, "SA1")
	v.setDeleted("SA2", at(3))
	want(markerA)
	v.setWritten("SA4", row{name: markerB}, at(4))
	want(markerB, "SA1", "SA4")
	v.endSweep(at(4))
	want(markerB, "SA4")
	v.endSweep(at(5))
	if len(v.markers)+len(v.rows)+len(v.nameForms) != 0 {
		t.Errorf("got %+v, want an empty inventory", v)
	}
}

func TestInventory_NotFound_CountsUntilNextRead(t *testing.T) {
	v := newInventory()
	v.setNotFound(id, at(5))
	v.setNotFound(id, at(9))
	if n := v.notFound[id]; !n.First.Equal(at(5)) || !n.Last.Equal(at(9)) {
		t.Errorf("got %+v, want 404s at 5 and 9", n)
	}
	v.setRead(id, row{name: "a"}, at(8)) // sent before the last 404
	if _, ok := v.notFound[id]; !ok {
		t.Error("got no 404 after an older read, want it kept")
	}
	v.setRead(id, row{name: "a"}, at(10))
	v.setRead(id, row{name: "a"}, at(10))
	if n := v.notFound[id]; !n.First.IsZero() || n.Refuted != 1 {
		t.Errorf("got %+v after a later read, want no 404 and one refuted", n)
	}
	v.setNotFound(id, at(11))
	if n := v.notFound[id]; !n.First.Equal(at(11)) || n.Refuted != 1 {
		t.Errorf("got %+v, want a 404 at 11 and one refuted before", n)
	}
	v.endSweep(at(12))
	if _, ok := v.notFound[id]; !ok {
		t.Error("got no 404 after a sweep without the row, want it kept")
	}
	v.endSweep(at(11).Add(forgetMissing + time.Second))
	v.endSweep(at(11).Add(forgetMissing + time.Hour))
	if _, ok := v.notFound[id]; ok {
		t.Error("got a 404 after forgetMissing, want none")
	}
	for name, write := range map[string]func(){
		"deletion": func() { v.setDeleted(id, at(6)) },
		"update":   func() { v.setUpdated(id, "a", true, at(6)) },
	} {
		v.setNotFound(id, at(5))
		write()
		if _, ok := v.notFound[id]; ok {
			t.Errorf("%s: got a 404 after it, want none", name)
		}
	}
}

func TestInventory_NotFoundAndSweeps_SetMissingSince(t *testing.T) {
	type step func(*inventory)
	notFound := func(second int) step { return func(v *inventory) { v.setNotFound(id, at(second)) } }
	read := func(second int) step { return func(v *inventory) { v.setRead(id, row{name: "a"}, at(second)) } }
	complete := func(second int) step { return func(v *inventory) { v.endSweep(at(second)) } }
	for _, c := range []struct {
		name  string
		steps []step
		want  int // 0: zero time
	}{
		{"no sweep yet", []step{notFound(1)}, 0},
		{"sweep before the 404", []step{complete(1), notFound(2)}, 1},
		{"sweep after the 404", []step{notFound(1), complete(2)}, 2},
		{"first of several sweeps", []step{complete(1), notFound(2), complete(3), notFound(4), complete(5)}, 1},
		{"shown by the last sweep", []step{read(1), complete(1), notFound(2)}, 0},
		{"shown by the last sweep, not by the next", []step{read(1), complete(1), notFound(2), complete(3)}, 3},
		{"shown between two sweeps, then a 404", []step{complete(1), notFound(2), read(3), notFound(4), complete(5)}, 5},
		{"a page read before the last 404", []step{complete(1), notFound(5), read(3), complete(4)}, 4},
	} {
		v := newInventory()
		for _, s := range c.steps {
			s(&v)
		}
		got := v.notFound[id].MissingSince
		want := at(c.want)
		if c.want == 0 {
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}

// An entry must live until the second sweep, even with a sweep interval above a day.
func TestInventory_SweepIntervalAboveOneDay_KeepsNotFound(t *testing.T) {
	v := newInventory()
	day := int(forgetMissing / time.Second)
	v.endSweep(at(1))
	v.setNotFound(id, at(2))
	v.endSweep(at(2 * day))
	if n := v.notFound[id]; !n.MissingSince.Equal(at(1)) {
		t.Errorf("got %+v, want MissingSince kept", n)
	}
}

func TestInventory_NameChangedByPlivo_IsKnownAfterTwoReads(t *testing.T) {
	type round struct{ sent, seen string } // sent "": only read
	cases := []struct {
		name   string
		rounds []round
		want   string // sentAs of the last name that was read
	}{
		{"as sent", []round{{"a", "a"}}, ""},
		{"only white space differs", []round{{" a  b ", "a b"}}, " a  b "},
		{"only case differs", []round{{"Ab", "ab"}}, "Ab"},
		{"another name, read once", []round{{"a", "x"}}, ""},
		{"the same other name, read twice in a row", []round{{"a", "x"}, {"a", "x"}}, "a"},
		{"two different other names", []round{{"a", "x"}, {"a", "y"}}, ""},
		{"read twice, sent once", []round{{"a", "x"}, {"", "x"}}, ""},
		{"two sent names", []round{{"a", "x"}, {"b", "x"}}, ""},
		{"drift after a known form", []round{{"A", "a"}, {"", "x"}}, ""},
		{"known form, read again", []round{{"A", "a"}, {"", "a"}, {"", "a"}}, "A"},
		{"stored as sent later", []round{{"A", "a"}, {"A", "A"}, {"", "a"}}, ""},
	}
	for _, c := range cases {
		v := newInventory()
		seen := ""
		for i, r := range c.rounds {
			if r.sent != "" {
				v.setUpdated(id, r.sent, true, at(10*i))
				v.setRead(id, row{name: "older page"}, at(10*i-1)) // has no effect
			}
			seen = r.seen
			v.setRead(id, row{name: seen}, at(10*i+1))
		}
		if got := v.nameForms[id].sentAs(seen); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAccount_OwnWrites_UpdateInventory(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		slot, err := a.AcquireSlot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		created, err := a.Create(t.Context(), slot, mainID, markerA)
		if err != nil || !slices.Equal(a.WithMarker(markerA), []string{created.AuthID}) {
			t.Fatalf("got %v, %v; want the created subaccount", err, a.WithMarker(markerA))
		}
		remote, _, _ := a.Remote(created.AuthID)
		if got, ok := remote.Get(); !ok || got.Name != markerA || got.Enabled || got.TokenDigest != a.digest(created.Token) {
			t.Errorf("got %+v, want the created row", got)
		}
		if err := update(t, a, mainID, created.AuthID, "wanted", true); err != nil {
			t.Fatal(err)
		}
		remote, _, _ = a.Remote(created.AuthID)
		if got, _ := remote.Get(); got.Name != "wanted" || !got.Enabled || got.TokenDigest != a.digest(created.Token) || len(a.WithMarker(markerA)) != 0 {
			t.Errorf("got %+v, want the updated row", got)
		}
		time.Sleep(time.Second)
		if err := remove(t, a, mainID, created.AuthID, false); err != nil {
			t.Fatal(err)
		}
		if remote, _, deleted := a.Remote(created.AuthID); !remote.IsAbsent() || !deleted || a.Status().Total != 0 {
			t.Errorf("after the deletion: got deleted %v, %+v; want true and no subaccount", deleted, a.Status())
		}
		wantKind(t, remove(t, a, mainID, created.AuthID, false), plivo.KindNotFound)
		if _, missing, _ := a.Remote(created.AuthID); missing.First.IsZero() || !missing.MissingSince.IsZero() {
			t.Errorf("got %+v, want a 404 and no MissingSince", missing)
		}
		time.Sleep(time.Second)
		a.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if _, missing, _ := a.Remote(created.AuthID); missing.MissingSince.IsZero() {
			t.Error("got no MissingSince after a sweep without the row")
		}
	})
}
