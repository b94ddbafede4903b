// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/parser"
	"go/token"
	"testing"
)

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
