// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Verdict is the result of one check.
type Verdict string

const (
	// VerdictOK: the check passed, or the assumption holds.
	VerdictOK Verdict = "OK"
	// VerdictDiffers: the check failed, or the assumption does not hold.
	VerdictDiffers Verdict = "Differs"
	// VerdictUnknown: the check could not be made.
	VerdictUnknown Verdict = "Unknown"
)

// Finding is one line of a Report. It holds no token and no name of a subaccount that
// the check did not create.
type Finding struct {
	// Assumption that was checked; docs/plivo-assumptions.md explains those about Plivo.
	Assumption string  `json:"assumption"`
	Observed   string  `json:"observed"`
	Verdict    Verdict `json:"verdict"`
	// Meaning of a verdict other than OK for the operator and its users.
	Meaning string `json:"meaning,omitempty"`
}

// Report is what kubectl plivo check prints as JSON and YAML. It has the form of a
// resource, but no API server serves it.
type Report struct {
	metav1.TypeMeta `json:",inline"`
	// Plugin is the version of the plugin.
	Plugin   string    `json:"plugin"`
	Findings []Finding `json:"findings"`
}

// NewReport returns an empty report.
func NewReport(version string) *Report {
	r := &Report{Plugin: version, Findings: []Finding{}}
	r.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("CheckReport"))
	return r
}

// DeepCopyObject implements runtime.Object.
func (r *Report) DeepCopyObject() runtime.Object {
	return &Report{TypeMeta: r.TypeMeta, Plugin: r.Plugin, Findings: slices.Clone(r.Findings)}
}

// Add appends a finding. The meaning is kept if the verdict is not OK.
func (r *Report) Add(assumption string, verdict Verdict, meaning, observed string, args ...any) {
	if verdict == VerdictOK {
		meaning = ""
	}
	r.Findings = append(r.Findings, Finding{assumption, Printable(fmt.Sprintf(observed, args...)), verdict, meaning})
}

// Differs reports whether a finding differs.
func (r *Report) Differs() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Verdict == VerdictDiffers })
}

// Write prints the report as a table, and then the meaning of each verdict other than OK.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(t, "ASSUMPTION\tOBSERVED\tVERDICT")
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", f.Assumption, f.Observed, f.Verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		if f.Meaning == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n  %s\n", f.Verdict, f.Assumption, f.Meaning); err != nil {
			return err
		}
	}
	return nil
}

// VerdictOf returns VerdictOK or VerdictDiffers.
func VerdictOf(ok bool) Verdict {
	if ok {
		return VerdictOK
	}
	return VerdictDiffers
}
