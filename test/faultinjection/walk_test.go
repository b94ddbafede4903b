// SPDX-License-Identifier: Apache-2.0

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

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

func TestMain(m *testing.M) {
	must(os.Setenv("KUBE_FEATURE_WatchListClient", "false"))
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	utilruntime.ErrorHandlers = nil //nolint:reassign // they store times, and each run resets the fake clock
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	os.Exit(m.Run())
}

// tryInMemory runs one schedule in its own synctest bubble, under a fake clock.
func tryInMemory(t *testing.T, s schedule) (trace []*entry, injected int, err error) {
	synctest.Test(t, func(*testing.T) { trace, injected, err = run(newMemory(), s) })
	return trace, injected, err
}

// runInMemory runs one schedule. It returns the steps of that life and the number of
// injections that it reached.
func runInMemory(t *testing.T, s schedule) (trace []*entry, injected int) {
	trace, injected, err := tryInMemory(t, s)
	if err != nil {
		t.Errorf("%v\n\t%s\nrun it alone: SCHEDULE=%s go test ./test/faultinjection -run TestSchedule -v", err, text(isAnyStep, trace), s)
	}
	return trace, injected
}

// withOneMore returns all schedules that add one injection to s, at a later step.
func withOneMore(s schedule, trace []*entry) []schedule {
	var all []schedule
	later := len(s) == 0
	for _, e := range trace {
		if e.injection != "" {
			later = true
			continue
		}
		for i := range injections {
			if later && injections[i].appliesTo(e.what) {
				all = append(all, append(s[:len(s):len(s)], scheduled{e.what, e.nth, &injections[i]}))
			}
		}
	}
	return all
}

// The steps of the Account's reconciler have a fixed order, and so have those of the
// Subaccount's. Both reconcilers run in parallel.

func isAccountStep(e *entry) bool {
	return e.what == string(plivosim.OpList) || strings.HasSuffix(e.what, "-"+accounts+"/status")
}
func isSubaccountStep(e *entry) bool { return !isAccountStep(e) }
func isAnyStep(*entry) bool          { return true }

func text(isIncluded func(*entry) bool, trace []*entry) string {
	var parts []string
	for _, e := range trace {
		if isIncluded(e) {
			parts = append(parts, e.String())
		}
	}
	return strings.Join(parts, " ")
}

// TestSchedule runs the schedule in the environment variable SCHEDULE.
func TestSchedule(t *testing.T) {
	named := os.Getenv("SCHEDULE")
	if named == "" {
		t.Skip("set SCHEDULE=step#n:injection,… to run one schedule")
	}
	s, err := parseSchedule(named)
	if err != nil {
		t.Fatal(err)
	}
	trace, injected := runInMemory(t, s)
	t.Logf("reached %d of %d injections: %s", injected, len(s), text(isAnyStep, trace))
}

// isLifeStep returns whether a step belongs to a Subaccount's life: a call to Plivo or a
// write. Live reads and the Account's status do not.
func isLifeStep(what string) bool {
	isSubaccountWrite := isWrite(what) && what != "patch-"+accounts+"/status"
	return isPlivoCall(what) || isSubaccountWrite
}

// TestFaults runs every injection at every step, and a sample of the pairs of injections
// at the steps of a life. FAULT_PAIRS and FAULT_SEED choose the sample (sample.go). With
// -short it runs no pairs.
func TestFaults(t *testing.T) {
	t.Parallel()
	chosen, err := newSample(os.Getenv, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	trace, _ := runInMemory(t, nil)
	singles := withOneMore(nil, trace)
	pairsOf := make([][]schedule, len(singles)) // the pairs that begin with each single injection
	inParallel(t, "singles", len(singles), func(t *testing.T, i int) {
		s := singles[i]
		trace, injected := runOnce(t, s)
		if injected != 1 {
			t.Errorf("got a life without the injection %s: %s", s, text(isAnyStep, trace))
		}
		if isLifeStep(s[0].what) {
			pairsOf[i] = slices.DeleteFunc(withOneMore(s, trace), func(p schedule) bool { return !isLifeStep(p[1].what) })
		}
	})
	fmt.Printf("    ran all %d single injections in %s\n", len(singles), since(began))
	all := slices.Concat(pairsOf...)
	if testing.Short() {
		return
	}
	pairs := chosen.of(all, chosen.size)
	fmt.Printf("    running %d of %d pairs of injections: %s\n", len(pairs), len(all), chosen)
	began = time.Now()
	var both atomic.Int64
	inParallel(t, "pairs", len(pairs), func(t *testing.T, i int) {
		if _, injected := runInMemory(t, pairs[i]); injected == 2 {
			both.Add(1)
		}
		if (i+1)%5000 == 0 {
			fmt.Printf("    %d of %d\n", i+1, len(pairs))
		}
	})
	// A few pairs in a thousand miss their second step: the first injection changes the order of the steps.
	if both.Load() < int64(len(pairs))*9/10 {
		t.Errorf("got %d of %d lives with both injections, want at least 9 in 10", both.Load(), len(pairs))
	}
	fmt.Printf("    ran %d of %d pairs of injections in %s, %d lives reached both: %s\n", len(pairs), len(all), since(began), both.Load(), chosen)
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

// lives contains the lives that TestFaults and TestConformance share, by the text of their
// schedules.
var lives sync.Map

// runOnce is runInMemory with a cache: it runs each schedule once.
func runOnce(t *testing.T, s schedule) (trace []*entry, injected int) {
	type life struct {
		once     sync.Once
		trace    []*entry
		injected int
	}
	stored, _ := lives.LoadOrStore(s.String(), &life{})
	l := stored.(*life)
	l.once.Do(func() { l.trace, l.injected = runInMemory(t, s) })
	return l.trace, l.injected
}

// TestConformance runs schedules of one injection on a real API server, and compares their
// steps with those in memory. It runs a sample of them, or all with FAULT_PAIRS=all.
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
	trace, _ := runInMemory(t, nil)
	singles := withOneMore(nil, trace)
	onServer := chosen.of(singles, chosen.size/pairsForEachOnServer)
	for _, s := range append([]schedule{nil}, onServer...) {
		compareWithMemory(t, server, s)
	}
	fmt.Printf("    ran %d of %d single injections on a real API server with the same steps as in memory: %s\n", len(onServer), len(singles), chosen)
}

// compareWithMemory searches for a run in memory with the same steps as one on the real
// API server. A schedule can have several orders of steps, because two steps can happen
// at the same instant, so both sides get several attempts.
func compareWithMemory(t *testing.T, server *apiserver, s schedule) {
	var wanted, got []*entry
	for range 3 {
		var err error
		synctest.Test(t, func(*testing.T) { got, _, err = run(server, s) })
		server.clear(t.Context())
		if err != nil {
			t.Errorf("%s, on a real API server: %v\n\t%s", s, err, text(isAnyStep, got))
			return
		}
		for i := range 30 {
			if i == 0 {
				wanted, _ = runOnce(t, s)
			} else {
				wanted, _ = runInMemory(t, s)
			}
			if text(isAccountStep, wanted) == text(isAccountStep, got) && text(isSubaccountStep, wanted) == text(isSubaccountStep, got) {
				return
			}
		}
	}
	t.Errorf("%s\ngot on a real API server: %s\nwant, as in memory:       %s", s, text(isAnyStep, got), text(isAnyStep, wanted))
}
