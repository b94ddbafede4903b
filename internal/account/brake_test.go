package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

func TestImplausibleIsMoreThanHalfAndAtLeastTen(t *testing.T) {
	cases := []struct {
		recorded, lacking int
		want              bool
	}{
		{0, 0, false}, {1, 1, false}, {9, 9, false}, {10, 9, false}, {10, 10, true}, {19, 10, true}, {20, 10, false},
		{20, 11, true}, {1000, 500, false}, {1000, 501, true},
	}
	for _, c := range cases {
		if got := implausible(c.recorded, c.lacking); got != c.want {
			t.Errorf("%d of %d lacking: %v", c.lacking, c.recorded, got)
		}
	}
}

func TestBrake(t *testing.T) {
	type step struct {
		do      string // "lack" and "show": a sweep; else a confirmation
		changed bool
		on      bool
	}
	cases := []struct {
		name  string
		steps []step
	}{
		{"on by a sweep that lacks, off by one that shows", []step{{"lack", true, true}, {"lack", false, true}, {"show", true, false}}},
		{"a new value lets it go, until the list shows enough again", []step{
			{"", false, false}, {"lack", true, true}, {"v1", true, false}, {"lack", false, false}, {"show", false, false}, {"lack", true, true},
		}},
		{"the value that stood before does not", []step{
			{"old", false, false}, {"lack", true, true}, {"old", false, true}, {"new", true, false},
		}},
		{"nor does the first that a new process hears of", []step{{"lack", true, true}, {"old", false, true}, {"new", true, false}}},
		{"a value given while it is off does not let the next one go", []step{
			{"", false, false}, {"early", false, false}, {"lack", true, true}, {"early", false, true},
		}},
		{"each time needs a value of its own", []step{
			{"", false, false}, {"lack", true, true}, {"v1", true, false}, {"show", false, false}, {"lack", true, true}, {"v1", false, true}, {"v2", true, false},
		}},
	}
	recorded := make([]string, 10)
	for _, c := range cases {
		var b brake
		for i, s := range c.steps {
			var changed bool
			switch s.do {
			case "lack", "show":
				changed = b.judge(func(string) bool { return s.do == "lack" }, recorded)
			default:
				changed = b.confirm(s.do)
			}
			if changed != s.changed || b.on != s.on {
				t.Errorf("%s, step %d (%q): changed %v, on %v", c.name, i, s.do, changed, b.on)
			}
		}
	}
}

func TestAListThatLacksMostOfWhatIsRecordedPullsTheBrake(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.recorded = r.add(20)
		a := r.swept()
		a.Confirm("")
		sweep := func() {
			a.RequestSweep(time.Now())
			time.Sleep(time.Second)
		}
		id := r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Rows: plivosim.None})
		gets := r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Status: 404})
		if _, err := get(t, a, mainID, r.recorded[0]); err == nil {
			t.Error("no 404")
		}
		sweep()
		if _, missing, _ := a.Remote(r.recorded[0]); !a.Implausible() || !missing.First.IsZero() {
			t.Errorf("on: %v; a 404 that came before counts: %+v", a.Implausible(), missing)
		}
		_, _ = get(t, a, mainID, r.recorded[0])
		r.sim.RemoveFault(id)
		r.sim.RemoveFault(gets)
		sweep()
		if _, missing, _ := a.Remote(r.recorded[0]); a.Implausible() || !missing.First.IsZero() {
			t.Errorf("on: %v; a 404 told meanwhile counts: %+v", a.Implausible(), missing)
		}
		for _, authID := range r.recorded[:11] {
			r.sim.Remove(mainID, authID)
		}
		sweep()
		_, _ = get(t, a, mainID, r.recorded[0])
		if !a.Implausible() || a.Confirm("") || !a.Confirm("yes, gone") || a.Implausible() {
			t.Error("a new value does not let it go, or an old one does")
		}
		if _, missing, _ := a.Remote(r.recorded[0]); !missing.First.IsZero() {
			t.Error("a 404 told while the list was doubted counts")
		}
		sweep()
		if a.Implausible() {
			t.Error("it came on again by the same lack")
		}
	})
}

func TestOutcomesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for o := OutcomeNone; o <= OutcomeFailed; o++ {
		seen[fmt.Sprint(o)] = true
	}
	if len(seen) != 6 {
		t.Error(seen)
	}
}
