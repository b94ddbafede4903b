// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// In a git worktree, .git is a file.
func TestCheck_Worktree_ReadsItsFiles(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, ".git"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "p.go"), []byte("package p\nvar _ = a && b || c"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if found, err := check(dir); found != 1 || err != nil {
		t.Errorf("got %d expressions and %v, want 1", found, err)
	}
}

func TestMixed_Expressions_FindsThoseThatMixOperators(t *testing.T) {
	for expression, want := range map[string]int{
		"a && b && c": 0, "a || b || c": 0, "a && b || c": 1, "a && (b || c)": 1, "!(a && b) || c": 1,
		"a && f(b || c)": 0, "a && b || c && d": 2, "a == (b && c)": 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nvar _ = "+expression, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(mixed(file)); got != want {
			t.Errorf("%s: got %d, want %d", expression, got, want)
		}
	}
}
