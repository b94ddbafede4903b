// SPDX-License-Identifier: Apache-2.0

// Command lint reports expressions that mix && and ||. Such an expression needs a named
// helper or a named variable. `make lint` runs it; no linter of golangci-lint has the rule.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	found, err := check(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(2)
	}
	if found > 0 {
		os.Exit(1)
	}
}

// check prints the expressions in and below a folder that mix operators, and returns
// their number.
func check(root string) (found int, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		isSkipped := err == nil && d.IsDir() && slices.Contains([]string{"node_modules", ".git"}, d.Name())
		switch {
		case err != nil:
			return err
		case isSkipped:
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"), strings.HasPrefix(d.Name(), "zz_generated."):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, at := range mixed(file) {
			found++
			fmt.Printf("%s: the expression mixes && and ||: name a part of it\n", fset.Position(at))
		}
		return nil
	})
	return found, err
}

// mixed returns the positions of expressions of && that have an operand of ||, or the
// other way round.
func mixed(file *ast.File) (at []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		outer, ok := logical(n)
		if !ok {
			return true
		}
		for _, operand := range []ast.Expr{outer.X, outer.Y} {
			if not, ok := ast.Unparen(operand).(*ast.UnaryExpr); ok {
				operand = not.X
			}
			if inner, ok := logical(ast.Unparen(operand)); ok && inner.Op != outer.Op {
				at = append(at, outer.Pos())
			}
		}
		return true
	})
	return at
}

// logical returns a node that is an expression of && or ||.
func logical(n ast.Node) (*ast.BinaryExpr, bool) {
	b, ok := n.(*ast.BinaryExpr)
	if !ok {
		return nil, false
	}
	return b, b.Op == token.LAND || b.Op == token.LOR
}
