// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// foldersOfMessages have the texts of conditions, events, errors and logs.
var foldersOfMessages = []string{"internal/plan", "internal/controller", "internal/mainaccount"}

// TestMessages_WordsToAvoid_AreAbsent applies the word lists of Vale to strings
// in Go code, which Vale does not read. It lists every violation.
func TestMessages_WordsToAvoid_AreAbsent(t *testing.T) {
	root := projectRoot(t)
	rules := rulesOfVale(t, root)
	found := 0
	for _, folder := range foldersOfMessages {
		for _, m := range messagesIn(t, filepath.Join(root, folder)) {
			found++
			for _, violation := range rules.violations(m.text) {
				t.Errorf("%s: %s: %q", strings.TrimPrefix(m.at, root+"/"), violation, m.text)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d messages were found", found)
	}
}

func TestMessages_EachRule_FindsItsExample(t *testing.T) {
	root := projectRoot(t)
	rules := rulesOfVale(t, root)
	for _, text := range []string{
		"The operator makes the subaccount anew now.",
		"The operator puts right what differs at Plivo.",
		"What the operator deletes, is gone at Plivo.",
	} {
		if len(rules.violations(text)) == 0 {
			t.Errorf("no rule finds %q", text)
		}
	}
	if v := rules.violations("Plivo refuses to delete the subaccount."); len(v) > 0 {
		t.Errorf("a good message violates %v", v)
	}
}

// wordRules are the rules of Vale that a pattern describes, by message.
type wordRules map[*regexp.Regexp]string

func (r wordRules) violations(text string) []string {
	var all []string
	for pattern, message := range r {
		if match := pattern.FindString(text); match != "" {
			all = append(all, fmt.Sprintf(message, match))
		}
	}
	slices.Sort(all)
	return all
}

// rulesOfVale reads the word lists that Vale uses.
func rulesOfVale(t *testing.T, root string) wordRules {
	t.Helper()
	rules := wordRules{}
	for _, name := range []string{"Avoid", "Terms", "Clefts"} {
		text, err := os.ReadFile(filepath.Join(root, ".vale", "styles", "Project", name+".yml"))
		if err != nil {
			t.Fatal(err)
		}
		var rule struct {
			Nonword bool
			Tokens  []string
			Swap    map[string]string
		}
		if err := yaml.Unmarshal(text, &rule); err != nil {
			t.Fatal(err)
		}
		if len(rule.Tokens)+len(rule.Swap) == 0 {
			t.Errorf("%s.yml has no patterns", name)
		}
		for _, pattern := range rule.Tokens {
			if !rule.Nonword {
				pattern = `(?i)\b(?:` + pattern + `)\b`
			}
			rules[regexp.MustCompile(pattern)] = "avoid %q"
		}
		for _, pattern := range slices.Sorted(maps.Keys(rule.Swap)) {
			rules[regexp.MustCompile(`(?i)\b(?:`+pattern+`)\b`)] = "write " + strconv.Quote(rule.Swap[pattern]) + " instead of %q"
		}
	}
	return rules
}

// message is a text of more than three words in a Go file.
type message struct{ at, text string }

func messagesIn(t *testing.T, dir string) []message {
	t.Helper()
	var all []message
	files := token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		eachText(file, func(at token.Pos, text string) {
			if len(strings.Fields(text)) > 3 {
				all = append(all, message{files.Position(at).String(), text})
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eachText calls f for each string literal. A sum of literals and other operands
// is one text, with "…" for each other operand, whose own literals follow.
func eachText(root ast.Node, f func(at token.Pos, text string)) {
	inSum := map[ast.Node]bool{}
	ast.Inspect(root, func(node ast.Node) bool {
		if sum, ok := node.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
			inSum[sum.X], inSum[sum.Y] = true, true
		}
		expression, ok := node.(ast.Expr)
		if !ok || inSum[node] {
			return true
		}
		text, hasLiteral := "", false
		for _, operand := range operandsOf(expression) {
			value, isLiteral := valueOf(operand)
			text, hasLiteral = text+value, hasLiteral || isLiteral
		}
		if hasLiteral {
			f(node.Pos(), text)
		}
		return true
	})
}

// operandsOf returns the operands of a sum, or the expression alone.
func operandsOf(e ast.Expr) []ast.Expr {
	sum, ok := e.(*ast.BinaryExpr)
	if !ok || sum.Op != token.ADD {
		return []ast.Expr{e}
	}
	return append(operandsOf(sum.X), operandsOf(sum.Y)...)
}

func valueOf(e ast.Expr) (text string, isLiteral bool) {
	basic, ok := e.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return "…", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
