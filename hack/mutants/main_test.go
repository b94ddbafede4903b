// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

var here = checker{root: "../.."}

func TestMutants_EachMutant_AppliesOnce(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants {
		if _, err := here.mutate(m); err != nil {
			t.Error(err)
		}
		if names[m.name] {
			t.Errorf("got two mutants %q, want one", m.name)
		}
		names[m.name] = true
	}
}

func TestMutate_OldTextMissing_ReturnsError(t *testing.T) {
	for _, old := range []string{"no such text", "return"} {
		_, err := here.mutate(mutant{name: "x", file: "internal/plan/stray.go", old: old})
		if err == nil || !strings.Contains(err.Error(), "no longer applies") {
			t.Errorf("%q: got %v, want an error", old, err)
		}
	}
}

func TestFirstFailure_Subtest_ReturnsTopLevelTest(t *testing.T) {
	output := []byte("    --- FAIL: TestA/b (0.1s)\n--- FAIL: TestA (0.2s)\n--- FAIL: TestC (0.2s)\n")
	if got := firstFailure(output); got != "TestA" {
		t.Errorf("got %q, want TestA", got)
	}
}
