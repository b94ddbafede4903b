package plan_test

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// What every Subaccount costs after every sweep.
func BenchmarkNeedsAttention(b *testing.B) {
	o := ready()
	o.Object.Status = summarize(o).Status
	b.ReportAllocs()
	for b.Loop() {
		if plan.NeedsReconcile(o) {
			b.Fatal("there is nothing to do or to tell")
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
