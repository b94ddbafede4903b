// SPDX-License-Identifier: Apache-2.0

// Command mutants checks that the tests of the creation protocol can fail. It breaks
// one rule of the protocol at a time (table.go) and runs the tests that must fail.
// It compiles each mutant with go's -overlay flag and writes nothing into the
// working tree.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// testTimeout is more than any suite needs, on a slow machine too.
const testTimeout = 5 * time.Minute

func main() {
	only := flag.String("run", "", "run only the mutants whose names match this regular `expression`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	selected, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	c := checker{root: root, work: work}

	// Report a table that no longer fits the code before any test runs.
	began := time.Now()
	var chosen []mutant
	var broken []error
	for _, m := range mutants {
		if _, err := c.mutate(m); err != nil {
			broken = append(broken, err)
		}
		if selected.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if err := errors.Join(broken...); err != nil {
		return err
	}
	if err := c.passWithoutMutants(ctx, chosen); err != nil {
		return err
	}
	for _, m := range chosen {
		if err := c.kill(ctx, m); err != nil {
			broken = append(broken, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	fmt.Printf("mutants: %d of %d killed in %s\n", len(chosen)-len(broken), len(chosen), since(began))
	return errors.Join(broken...)
}

type checker struct {
	root string // of the module
	work string // a temporary folder
}

// mutate returns the text of the mutant's file.
func (c checker) mutate(m mutant) (string, error) {
	data, err := os.ReadFile(filepath.Join(c.root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(data), m.old); n != 1 {
		return "", fmt.Errorf("the mutant %q no longer applies: %s contains its old text %d times, not once; update hack/mutants/table.go:\n\t%s",
			m.name, m.file, n, m.old)
	}
	return strings.Replace(string(data), m.old, m.new, 1), nil
}

// passWithoutMutants checks that the suites pass without a mutant. Otherwise a
// failure would not show that they notice the mutant.
func (c checker) passWithoutMutants(ctx context.Context, chosen []mutant) error {
	done := map[string]bool{}
	for _, m := range chosen {
		if done[m.tests.String()] {
			continue
		}
		done[m.tests.String()] = true
		began := time.Now()
		failed, output, err := c.test(ctx, m.tests, nil)
		if err != nil {
			return err
		}
		if failed {
			return fmt.Errorf("the tests of %s fail without any mutant:\n%s", m.tests.pkg, output)
		}
		fmt.Printf("passed  %6s  %-20s without mutants\n", since(began), m.tests.pkg)
	}
	return nil
}

// kill fails if the mutant survives its tests.
func (c checker) kill(ctx context.Context, m mutant) error {
	began := time.Now()
	text, err := c.mutate(m)
	if err != nil {
		return err
	}
	failed, output, err := c.test(ctx, m.tests, map[string]string{m.file: text})
	switch {
	case err != nil:
		return fmt.Errorf("the mutant %q: %w", m.name, err)
	case !failed:
		fmt.Printf("ALIVE   %6s  %-20s %s\n%s", since(began), m.tests.pkg, m.name, output)
		return fmt.Errorf("the mutant %q survives the tests of %s: no test notices that the operator %s", m.name, m.tests.pkg, m.name)
	default:
		fmt.Printf("killed  %6s  %-20s %s: %s\n", since(began), m.tests.pkg, m.name, firstFailure(output))
		return nil
	}
}

// test builds a suite with replaced files and runs it. A suite that does not build is
// an error and not a failed test.
func (c checker) test(ctx context.Context, s suite, replaced map[string]string) (failed bool, output []byte, err error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range replaced {
		path := filepath.Join(c.work, filepath.Base(file))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return false, nil, err
		}
		overlay.Replace[filepath.Join(c.root, file)] = path
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return false, nil, err
	}
	overlayFile, binary := filepath.Join(c.work, "overlay.json"), filepath.Join(c.work, "suite.test")
	if err := os.WriteFile(overlayFile, data, 0o600); err != nil {
		return false, nil, err
	}
	build := exec.CommandContext(ctx, "go", "test", "-vet=off", "-ldflags=-s -w", "-overlay", overlayFile, "-c", "-o", binary, "./"+s.pkg)
	build.Dir = c.root
	if output, err := build.CombinedOutput(); err != nil {
		return false, nil, fmt.Errorf("building the tests of %s: %w\n%s", s.pkg, err, output)
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	test := exec.CommandContext(ctx, binary, s.args...)
	test.Dir = filepath.Join(c.root, s.pkg)
	output, err = test.CombinedOutput()
	if ctx.Err() != nil {
		return false, nil, fmt.Errorf("the tests of %s did not end: %w", s.pkg, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, nil, err
	}
	return err != nil, bytes.TrimLeft(output, "\n"), nil
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// firstFailure returns the name of the first test that failed.
func firstFailure(output []byte) string {
	if match := failedTest.FindSubmatch(output); match != nil {
		return string(match[1])
	}
	return "panic"
}

func since(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
