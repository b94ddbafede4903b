// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// The operator pays this for every Subaccount after every sweep.
func BenchmarkNeedsReconcile(b *testing.B) {
	o := ready()
	o.Object.Status = summarize(o).Status
	b.ReportAllocs()
	for b.Loop() {
		if plan.NeedsReconcile(o) {
			b.Fatal("got true, want false for an unchanged resource")
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	o := ready()
	b.ReportAllocs()
	for b.Loop() {
		plan.Decide(o)
	}
}
