// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestStatus_NotReadySubaccounts_AreExplained(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "status")
	empty := w.plivo("status", "-n", w.name)
	g.Expect(empty).To(And(HaveField("Code", 0), HaveField("Err", ContainSubstring("No resources found"))))

	w.apply("fine", func(s *v1alpha1.Subaccount) {
		plan.SetConditions(&s.Status.Conditions, v1alpha1.ReasonReady, "", 1, metav1.Now())
	})
	w.apply("refused", func(s *v1alpha1.Subaccount) {
		plan.SetConditions(&s.Status.Conditions, v1alpha1.ReasonRejected, "Plivo refused: no.", 1, metav1.Now())
	})
	all := w.mustRun("status", "-n", w.name)
	g.Expect(all).To(HavePrefix("1 of 2 Subaccounts in status are Ready.\n\nsubaccount status/refused is not Ready since "))
	g.Expect(all).To(ContainSubstring("Plivo refused: no."))
	g.Expect(all).To(ContainSubstring("What to do:  Change the spec"))
	g.Expect(all).To(ContainSubstring("refused-plivo does not exist"))
	g.Expect(strings.Count(all, "What to do:")).To(Equal(1))
	g.Expect(w.mustRun("status", "fine", "-n", w.name)).To(HavePrefix("subaccount status/fine is Ready since "))
	g.Expect(w.plivo("status", "missing", "-n", w.name)).To(haveFailed(1, "not found"))
	g.Expect(sim.Calls()).NotTo(ContainElement(HaveField("Account", w.main)), "status reads nothing at Plivo")
}
