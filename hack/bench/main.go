// SPDX-License-Identifier: Apache-2.0

// Command bench runs the manager's binary with a simulated Plivo and a real API
// server, at several sizes. It prints the measurements with their bounds, and
// writes docs/benchmarks.md and its chart. BENCHTIME=smoke runs a small size, checks
// the counts and writes nothing.
//
// It fails if an exact count is wrong. It does not fail if a time or a size misses
// its bound, because these depend on the machine; the table shows them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrl.SetLogger(logr.Discard()) // otherwise the client warns about a missing logger
	s, err := readSettings(os.Getenv)
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are environment variables, which make sets.
type settings struct {
	sizes    []int         // N
	accounts int           // ACCOUNTS
	runs     int           // RUNS
	latency  time.Duration // LATENCY
	out      string        // OUT; if empty, nothing is written
}

func readSettings(env func(string) string) (settings, error) {
	s := settings{sizes: []int{100, 1000, 5000, 10000}, accounts: 1, runs: 3, latency: 20 * time.Millisecond, out: "docs"}
	switch env("BENCHTIME") {
	case "":
	case "smoke":
		s.sizes, s.runs, s.out = []int{60}, 1, ""
	default:
		return s, errors.New("BENCHTIME must be smoke or empty")
	}
	var errs []error
	number := func(name, text string) int {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			errs = append(errs, fmt.Errorf("%s: %q is no number above 0", name, text))
		}
		return n
	}
	if given := strings.FieldsFunc(env("N"), func(r rune) bool { return r == ',' || r == ' ' }); len(given) > 0 {
		s.sizes = nil
		for _, text := range given {
			s.sizes = append(s.sizes, number("N", text))
		}
	}
	if given := env("ACCOUNTS"); given != "" {
		s.accounts = number("ACCOUNTS", given)
	}
	if given := env("RUNS"); given != "" {
		s.runs = number("RUNS", given)
	}
	if given := env("LATENCY"); given != "" {
		var err error
		s.latency, err = time.ParseDuration(given)
		errs = append(errs, err)
	}
	if given := env("OUT"); given != "" && s.out != "" {
		s.out = given
	}
	return s, errors.Join(errs...)
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "subaccount-operator-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs, err := build(dir)
	if err != nil {
		return err
	}
	var tables []*table
	for _, n := range s.sizes {
		t := &table{load: load{n: n, accounts: s.accounts, latency: s.latency}}
		for i := range s.runs {
			say("N = %s, run %d of %d", thousands(n), i+1, s.runs)
			r, err := measure(ctx, t.load, programs, dir)
			if err != nil {
				return fmt.Errorf("run %d at N = %d: %w", i+1, n, err)
			}
			t.runs = append(t.runs, r)
		}
		tables = append(tables, t)
		fmt.Printf("\n%s\n", t)
	}
	if s.out != "" {
		if err := write(s, tables); err != nil {
			return err
		}
	}
	return judge(tables)
}

// judge returns an error if an exact count is wrong.
func judge(tables []*table) error {
	var errs []error
	for _, t := range tables {
		for _, f := range t.off() {
			errs = append(errs, fmt.Errorf("at N = %d this is off: %s", t.load.n, f.what))
		}
	}
	return errors.Join(errs...)
}

func say(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
