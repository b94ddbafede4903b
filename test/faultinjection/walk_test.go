package faultinjection

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

func TestMain(m *testing.M) {
	must(os.Setenv("KUBE_FEATURE_WatchListClient", "false"))
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	utilruntime.ErrorHandlers = nil //nolint:reassign // they remember times, and the clock begins anew with each run
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	os.Exit(m.Run())
}

// inMemory runs one schedule in a bubble of its own, under a fake clock.
func inMemory(t *testing.T, s schedule) (trace []*entry, met int, err error) {
	synctest.Test(t, func(*testing.T) { trace, met, err = run(newMemory(), s) })
	return trace, met, err
}

// check runs one schedule and returns the steps of the life that it led to,
// and how many of the faults that life met.
func check(t *testing.T, s schedule) (trace []*entry, met int) {
	trace, met, err := inMemory(t, s)
	if err != nil {
		t.Errorf("%v\n\t%s\nalone: SCHEDULE=%s go test ./test/faultinjection -run TestSchedule -v", err, text(anyLane, trace), s)
	}
	return trace, met
}

// further are the schedules that add one fault to another, at a later step.
func further(s schedule, trace []*entry) []schedule {
	var all []schedule
	later := len(s) == 0
	for _, e := range trace {
		if e.fault != "" {
			later = true
			continue
		}
		for i := range faults {
			if later && faults[i].at(e.what) {
				all = append(all, append(s[:len(s):len(s)], strike{e.what, e.nth, &faults[i]}))
			}
		}
	}
	return all
}

// What happens in one lane is in order. The lanes run side by side.

func ofAccount(e *entry) bool {
	return e.what == "list" || strings.HasSuffix(e.what, "-"+accounts+"/status")
}
func ofSubaccount(e *entry) bool { return !ofAccount(e) }
func anyLane(*entry) bool        { return true }

func text(lane func(*entry) bool, trace []*entry) string {
	var parts []string
	for _, e := range trace {
		if lane(e) {
			parts = append(parts, e.String())
		}
	}
	return strings.Join(parts, " ")
}

// TestSchedule runs the one schedule that the environment names.
func TestSchedule(t *testing.T) {
	named := os.Getenv("SCHEDULE")
	if named == "" {
		t.Skip("no SCHEDULE=step:fault,… given")
	}
	s, err := parseSchedule(named)
	if err != nil {
		t.Fatal(err)
	}
	trace, met := check(t, s)
	t.Logf("%d of %d faults were met: %s", met, len(s), text(anyLane, trace))
}

// ofLife are the remote calls and the writes that a Subaccount's life is made
// of: no live reads, and not the Account's status.
func ofLife(what string) bool {
	return remote(what) || written(what) && what != "patch-"+accounts+"/status"
}

// TestFaults walks every fault at every step, and a sample of the pairs of
// faults at the steps of a life. FAULT_PAIRS and FAULT_SEED choose the sample
// (sample.go); with -short there is none.
func TestFaults(t *testing.T) {
	t.Parallel()
	chosen, err := newSample(os.Getenv, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	trace, _ := check(t, nil)
	singles := further(nil, trace)
	seconds := make([][]schedule, len(singles)) // the pairs that begin with a single fault
	inParallel(t, "singles", len(singles), func(t *testing.T, i int) {
		s := singles[i]
		trace, met := checkOnce(t, s)
		if met != 1 {
			t.Errorf("%s was not met: %s", s, text(anyLane, trace))
		}
		if ofLife(s[0].what) {
			seconds[i] = slices.DeleteFunc(further(s, trace), func(p schedule) bool { return !ofLife(p[1].what) })
		}
	})
	fmt.Printf("    walked all %d single faults in %s\n", len(singles), since(began))
	all := slices.Concat(seconds...)
	if testing.Short() {
		return
	}
	pairs := chosen.of(all, chosen.size)
	fmt.Printf("    walking %d of %d pairs of faults: %s\n", len(pairs), len(all), chosen)
	began = time.Now()
	var both atomic.Int64
	inParallel(t, "pairs", len(pairs), func(t *testing.T, i int) {
		if _, met := check(t, pairs[i]); met == 2 {
			both.Add(1)
		}
		if (i+1)%5000 == 0 {
			fmt.Printf("    %d of %d\n", i+1, len(pairs))
		}
	})
	fmt.Printf("    walked %d of %d pairs of faults in %s, %d lives met both: %s\n", len(pairs), len(all), since(began), both.Load(), chosen)
}

// inParallel calls do for 0 to n-1, on all cores. With -failfast it stops at the
// first failure, because one broken rule can fail thousands of schedules.
func inParallel(t *testing.T, name string, n int, do func(t *testing.T, i int)) {
	failFast := flag.Lookup("test.failfast").Value.String() == "true"
	var next atomic.Int64
	var failed atomic.Bool
	t.Run(name, func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := int(next.Add(1)); i <= n && !(failFast && failed.Load()); i = int(next.Add(1)) {
					do(t, i-1)
					if t.Failed() {
						failed.Store(true)
					}
				}
			})
		}
	})
}

func since(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }

// lives holds the lives in memory that TestFaults and TestConformance share, by
// the text of their schedules.
var lives sync.Map

// checkOnce is check, but runs a schedule only the first time.
func checkOnce(t *testing.T, s schedule) (trace []*entry, met int) {
	type life struct {
		once  sync.Once
		trace []*entry
		met   int
	}
	stored, _ := lives.LoadOrStore(s.String(), &life{})
	l := stored.(*life)
	l.once.Do(func() { l.trace, l.met = check(t, s) })
	return l.trace, l.met
}

// TestConformance runs schedules of one fault on a real API server, and compares what
// each process did there with what it did in memory. It takes a sample of them, and
// all of them with FAULT_PAIRS=all.
func TestConformance(t *testing.T) {
	t.Parallel()
	chosen, err := newSample(os.Getenv, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	plane, err := controlplane.Start(controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	server, err := newAPIServer(t.Context(), plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	trace, _ := check(t, nil)
	singles := further(nil, trace)
	onServer := chosen.of(singles, onRealServer)
	for _, s := range append([]schedule{nil}, onServer...) {
		conforms(t, server, s)
	}
	fmt.Printf("    schedules: %d of %d of one fault, on a real API server, step by step as in memory: %s\n", len(onServer), len(singles), chosen)
}

// conforms looks for a run in memory that goes as one on the real server does.
// Where two things happen at the same instant, a schedule can go in more than
// one way, here and there.
func conforms(t *testing.T, server *apiserver, s schedule) {
	var wanted, got []*entry
	for range 3 {
		var err error
		synctest.Test(t, func(*testing.T) { got, _, err = run(server, s) })
		server.clear(t.Context())
		if err != nil {
			t.Errorf("%s, on a real API server: %v\n\t%s", s, err, text(anyLane, got))
			return
		}
		for i := range 30 {
			if i == 0 {
				wanted, _ = checkOnce(t, s)
			} else {
				wanted, _ = check(t, s)
			}
			if text(ofAccount, wanted) == text(ofAccount, got) && text(ofSubaccount, wanted) == text(ofSubaccount, got) {
				return
			}
		}
	}
	t.Errorf("%s\nin memory: %s\nreal:      %s", s, text(anyLane, wanted), text(anyLane, got))
}
