package faultwalk

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

func TestMain(m *testing.M) {
	must(os.Setenv("KUBE_FEATURE_WatchListClient", "false"))
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	utilruntime.ErrorHandlers = nil // they remember times, and the clock begins anew with each run
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// inMemory runs one schedule in a bubble of its own, under a fake clock.
func inMemory(t *testing.T, s schedule) (trace []string, met int, err error) {
	synctest.Test(t, func(*testing.T) { trace, met, err = run(newMemory(), s) })
	return trace, met, err
}

// check runs one schedule and returns the steps of the life that it led to,
// and how many of the faults that life met.
func check(t *testing.T, s schedule) (trace []string, met int) {
	trace, met, err := inMemory(t, s)
	if err != nil {
		t.Errorf("%v\n\t%s\nalone: SCHEDULE=%s go test ./test/faultwalk -run TestSchedule -v", err, strings.Join(trace, " "), s)
	}
	return trace, met
}

// further are the schedules that add one fault to another, at a later step.
func further(s schedule, trace []string) []schedule {
	var all []schedule
	later := len(s) == 0
	for _, entry := range trace {
		what, rest, _ := strings.Cut(entry, "#")
		nth, struck, _ := strings.Cut(rest, ":")
		if struck != "" {
			later = true
			continue
		}
		n, err := strconv.Atoi(nth)
		must(err)
		for i := range faults {
			if later && faults[i].at(what) {
				all = append(all, append(s[:len(s):len(s)], strike{what, n, &faults[i]}))
			}
		}
	}
	return all
}

// TestSchedule runs the one schedule that the environment names.
func TestSchedule(t *testing.T) {
	text := os.Getenv("SCHEDULE")
	if text == "" {
		t.Skip("no SCHEDULE=step:fault,… given")
	}
	s, err := parseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	trace, met := check(t, s)
	t.Logf("%d of %d faults were met: %s", met, len(s), strings.Join(trace, " "))
}

// TestFaults walks every fault at every step of a life, and every pair.
func TestFaults(t *testing.T) {
	trace, _ := check(t, nil)
	singles := further(nil, trace)
	var pairs []schedule
	for _, s := range singles {
		trace, met := check(t, s)
		if met != 1 {
			t.Errorf("%s was not met: %v", s, trace)
		}
		pairs = append(pairs, further(s, trace)...)
	}
	fmt.Printf("    %d schedules of one fault done, %d of two to come\n", len(singles), len(pairs))
	var next, both atomic.Int64
	t.Run("pairs", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1); i <= int64(len(pairs)); i = next.Add(1) {
					if _, met := check(t, pairs[i-1]); met == 2 {
						both.Add(1)
					}
					if i%5000 == 0 {
						fmt.Printf("    %d of %d\n", i, len(pairs))
					}
				}
			})
		}
	})
	fmt.Printf("    schedules: %d of one fault, %d of two (%d lives met both)\n", len(singles), len(pairs), both.Load())
}
