// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const flagsDocument = "../docs/flags.md"

// flagsPage returns docs/flags.md as the flags themselves say.
func flagsPage() string {
	var b bytes.Buffer
	b.WriteString("# Flags of the manager\n\nThis page lists every flag of the manager. `make flags` writes it from the flags themselves. In the chart, set `extraArgs`.\n\n" +
		"| flag | default | meaning |\n|---|---|---|\n")
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	(&options{}).bind(fs)
	fs.VisitAll(func(f *flag.Flag) {
		value := "–"
		if f.DefValue != "" {
			value = "`" + f.DefValue + "`"
		}
		_, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, value, strings.NewReplacer("|", `\|`, "\n", " ", "<", `\<`).Replace(usage))
	})
	return b.String()
}

// With UPDATE=1, as make flags sets it, the test writes the document.
func TestFlags_Document_IsCurrent(t *testing.T) {
	want := flagsPage()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(flagsDocument, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(flagsDocument)
	if err != nil || string(got) != want {
		t.Errorf("docs/flags.md is not current (%v): run make flags", err)
	}
}
