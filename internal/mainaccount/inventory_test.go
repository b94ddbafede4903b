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

func TestARowIsAsOldAsTheRequestThatReadIt(t *testing.T) {
	type step func(*inventory)
	read := func(name string, asked int) step {
		return func(v *inventory) { v.setRead(id, row{name: name}, at(asked)) }
	}
	updated := func(name string, answered int) step {
		return func(v *inventory) { v.setUpdated(id, name, true, at(answered)) }
	}
	deleted := func(answered int) step { return func(v *inventory) { v.setDeleted(id, at(answered)) } }
	unsure := func(answered int) step { return func(v *inventory) { v.setUpdateUnconfirmed(id, at(answered)) } }
	complete := func(started int) step { return func(v *inventory) { v.endSweep(at(started)) } }
	cases := []struct {
		name  string
		steps []step
		want  string // the row's name; "gone", "none", and "?" behind it where unsure
	}{
		{"a later reading counts", []step{read("a", 1), read("b", 2)}, "b"},
		{"an earlier one does not", []step{read("b", 2), read("a", 1)}, "b"},
		{"sent before our write was answered", []step{read("a", 1), updated("b", 5), read("a", 4)}, "b"},
		{"sent after", []step{updated("b", 5), read("a", 6)}, "a"},
		{"an update after a tombstone shows that it lives", []step{deleted(5), updated("b", 6)}, "b"},
		{"a lost answer leaves the row unsure", []step{read("a", 1), unsure(5)}, "a?"},
		{"an older reading does not make it sure", []step{read("a", 1), unsure(5), read("a", 4)}, "a?"},
		{"a later one does", []step{read("a", 1), unsure(5), read("a", 6)}, "a"},
		{"so does a write", []step{read("a", 1), unsure(5), updated("b", 6)}, "b"},
		{"an older page does not bring back what we deleted", []step{read("a", 1), deleted(5), read("a", 4)}, "gone"},
		{"a later one does: it is there", []step{deleted(5), read("a", 6)}, "a"},
		{"a tombstone outlives a sweep that began before it", []step{deleted(5), complete(4)}, "gone"},
		{"and no later one", []step{deleted(5), complete(6)}, "none"},
		{"an answer older than the sweep that lacked it brings nothing back", []step{deleted(5), complete(6), read("a", 4)}, "none"},
		{"a younger one does", []step{complete(6), read("a", 7)}, "a"},
		{"a complete sweep drops what it has not shown", []step{read("a", 1), complete(2)}, "none"},
		{"and keeps what it has", []step{read("a", 3), complete(2)}, "a"},
		{"and what was written meanwhile", []step{read("a", 1), updated("b", 3), complete(2)}, "b"},
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
			t.Errorf("%s: lacks is %v", c.name, v.isMissing(id))
		}
	}
}

func TestTheIndexOfMarkersFollowsTheRows(t *testing.T) {
	v := newInventory()
	want := func(marker string, ids ...string) {
		t.Helper()
		if got := slices.Sorted(slices.Values(v.markers[marker])); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", marker, got, ids)
		}
	}
	v.setRead("SA1", row{name: markerA}, at(1))
	v.setRead("SA2", row{name: markerA}, at(1))
	v.setRead("SA3", row{name: "x" + markerA}, at(1)) // whole, or not at all
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
		t.Errorf("something stays behind: %+v", v)
	}
}

func TestA404CountsUntilTheSubaccountIsSeenAgain(t *testing.T) {
	v := newInventory()
	v.setNotFound(id, at(5))
	v.setNotFound(id, at(9))
	if n := v.notFound[id]; !n.First.Equal(at(5)) || !n.Last.Equal(at(9)) {
		t.Errorf("%+v", n)
	}
	v.setRead(id, row{name: "a"}, at(8)) // asked before the last 404
	if _, ok := v.notFound[id]; !ok {
		t.Error("an older reading clears a 404")
	}
	v.setRead(id, row{name: "a"}, at(10))
	if _, ok := v.notFound[id]; ok {
		t.Error("a later reading does not clear a 404")
	}
	v.setNotFound(id, at(11))
	v.endSweep(at(12))
	if _, ok := v.notFound[id]; !ok {
		t.Error("a sweep that lacks it clears a 404")
	}
	v.endSweep(at(11).Add(forgetMissing + time.Second))
	v.endSweep(at(11).Add(forgetMissing + time.Hour))
	if _, ok := v.notFound[id]; ok {
		t.Error("it is never forgotten")
	}
	v.setNotFound(id, at(5))
	v.setDeleted(id, at(6))
	if _, ok := v.notFound[id]; ok {
		t.Error("our own deletion leaves a 404 behind")
	}
}

func TestInventory_LackedSince(t *testing.T) {
	type step func(*inventory)
	notFound := func(second int) step { return func(v *inventory) { v.setNotFound(id, at(second)) } }
	read := func(second int) step { return func(v *inventory) { v.setRead(id, row{name: "a"}, at(second)) } }
	complete := func(second int) step { return func(v *inventory) { v.endSweep(at(second)) } }
	for _, c := range []struct {
		name  string
		steps []step
		want  int // 0: no sweep lacks it
	}{
		{"no sweep yet", []step{notFound(1)}, 0},
		{"the sweep before the 404", []step{complete(1), notFound(2)}, 1},
		{"the sweep after the 404", []step{notFound(1), complete(2)}, 2},
		{"the first of several", []step{complete(1), notFound(2), complete(3), notFound(4), complete(5)}, 1},
		{"shown by the last sweep", []step{read(1), complete(1), notFound(2)}, 0},
		{"shown by the last sweep, not by the next", []step{read(1), complete(1), notFound(2), complete(3)}, 3},
		{"shown between two sweeps, then a 404", []step{complete(1), notFound(2), read(3), notFound(4), complete(5)}, 5},
		{"a page read before the last 404 breaks the row", []step{complete(1), notFound(5), read(3), complete(4)}, 4},
	} {
		v := newInventory()
		for _, s := range c.steps {
			s(&v)
		}
		got := v.notFound[id].MissingSince
		if c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(at(c.want)) {
			t.Errorf("%s: since %v, want %d", c.name, got, c.want)
		}
	}
}

// An entry must outlive the wait for the second sweep, however long that is.
func TestInventory_SweepIntervalAboveADay_Keeps404(t *testing.T) {
	v := newInventory()
	day := int(forgetMissing / time.Second)
	v.endSweep(at(1))
	v.setNotFound(id, at(2))
	v.endSweep(at(2 * day))
	if n := v.notFound[id]; !n.MissingSince.Equal(at(1)) {
		t.Errorf("%+v", n)
	}
}

func TestANameThatPlivoChangesIsSettledAs(t *testing.T) {
	type round struct{ sent, seen string } // sent "": only read
	cases := []struct {
		name   string
		rounds []round
		want   string // sentAs of the last name seen
	}{
		{"as sent", []round{{"a", "a"}}, ""},
		{"white space is Plivo's doing at once", []round{{" a  b ", "a b"}}, " a  b "},
		{"so is case", []round{{"Ab", "ab"}}, "Ab"},
		{"another name once may be a person's", []round{{"a", "x"}}, ""},
		{"the same one twice in a row is Plivo's", []round{{"a", "x"}, {"a", "x"}}, "a"},
		{"another one each time is not", []round{{"a", "x"}, {"a", "y"}}, ""},
		{"read twice after one sending is not", []round{{"a", "x"}, {"", "x"}}, ""},
		{"what was sent settles only itself", []round{{"a", "x"}, {"b", "x"}}, ""},
		{"a person's name after it settled is drift", []round{{"A", "a"}, {"", "x"}}, ""},
		{"settled once, it stays", []round{{"A", "a"}, {"", "a"}, {"", "a"}}, "A"},
		{"taken as sent later, it is forgotten", []round{{"A", "a"}, {"A", "A"}, {"", "a"}}, ""},
	}
	for _, c := range cases {
		v := newInventory()
		seen := ""
		for i, r := range c.rounds {
			if r.sent != "" {
				v.setUpdated(id, r.sent, true, at(10*i))
				v.setRead(id, row{name: "older page"}, at(10*i-1)) // says nothing
			}
			seen = r.seen
			v.setRead(id, row{name: seen}, at(10*i+1))
		}
		if got := v.nameForms[id].sentAs(seen); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOurOwnCallsTellTheInventory(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		slot, err := a.AcquireSlot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		created, err := a.Create(t.Context(), slot, mainID, markerA)
		if err != nil || !slices.Equal(a.WithMarker(markerA), []string{created.AuthID}) {
			t.Fatalf("%v, %v", err, a.WithMarker(markerA))
		}
		remote, _, _ := a.Remote(created.AuthID)
		if got, ok := remote.Get(); !ok || got.Name != markerA || got.Enabled || got.TokenDigest != a.digest(created.Token) {
			t.Errorf("%+v", got)
		}
		if err := update(t, a, mainID, created.AuthID, "wanted", true); err != nil {
			t.Fatal(err)
		}
		remote, _, _ = a.Remote(created.AuthID)
		if got, _ := remote.Get(); got.Name != "wanted" || !got.Enabled || got.TokenDigest != a.digest(created.Token) || len(a.WithMarker(markerA)) != 0 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Second)
		if err := remove(t, a, mainID, created.AuthID, false); err != nil {
			t.Fatal(err)
		}
		if remote, _, gone := a.Remote(created.AuthID); !remote.IsAbsent() || !gone || a.Status().Total != 0 {
			t.Errorf("after the deletion: gone is %v, %+v", gone, a.Status())
		}
		wantKind(t, remove(t, a, mainID, created.AuthID, false), plivo.KindNotFound)
		if _, missing, _ := a.Remote(created.AuthID); missing.First.IsZero() || !missing.MissingSince.IsZero() {
			t.Errorf("%+v", missing)
		}
		time.Sleep(time.Second)
		a.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if _, missing, _ := a.Remote(created.AuthID); missing.MissingSince.IsZero() {
			t.Error("a list that lacks it says nothing")
		}
	})
}
