// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// differing returns the findings that are not OK.
func differing(g *WithT, out string) (assumptions []string) {
	var report plugin.Report
	g.Expect(json.Unmarshal([]byte(out), &report)).To(Succeed(), out)
	g.Expect(report.Findings).NotTo(BeEmpty())
	for _, f := range report.Findings {
		if f.Verdict != plugin.VerdictOK {
			assumptions = append(assumptions, f.Assumption)
		}
	}
	return assumptions
}

func TestCheck_WholeInstallation_PassesAndLeavesNothing(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "check")
	w.add("Theirs")
	const noLease, noDeployment = "A replica of the operator is the leader", "The operator runs, in the plugin's version"
	const unmanaged, notReady = "Every subaccount is managed", "The Account check is Ready"

	before := w.plivo("check", "-o", "json")
	g.Expect(before.Code).To(Equal(1), before.Err)
	g.Expect(differing(g, before.Out)).To(ConsistOf(noLease, noDeployment, notReady, unmanaged))
	g.Expect(w.writes()).To(BeZero(), "without --probe nothing is changed")

	labels := map[string]string{"app.kubernetes.io/name": "subaccount-operator"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "manager", Labels: labels}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "manager", Image: "example.com/subaccount-operator:" + process.Version}},
		}},
	}}
	g.Expect(k8s.Create(t.Context(), d)).To(Succeed())
	t.Cleanup(func() { _ = k8s.Delete(context.Background(), d) })
	d.Status = appsv1.DeploymentStatus{Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	g.Expect(k8s.Status().Update(t.Context(), d)).To(Succeed())
	a := &v1alpha1.Account{}
	g.Expect(k8s.Get(t.Context(), types.NamespacedName{Name: "check"}, a)).To(Succeed())
	plan.SetConditions(&a.Status.Conditions, v1alpha1.ReasonReady, "", a.Generation, metav1.Now())
	g.Expect(k8s.Status().Update(t.Context(), a)).To(Succeed())

	after := w.plivo("check", "--probe", "--yes", "-o", "json")
	g.Expect(after.Code).To(Equal(0), after.Err)
	g.Expect(differing(g, after.Out)).To(ConsistOf(noLease, unmanaged))
	g.Expect(sim.Subaccounts(w.main)).To(HaveLen(1))
	for _, token := range append(sim.Tokens(), "Theirs") {
		g.Expect(after.Out+after.Err).NotTo(ContainSubstring(token), "the report is attached to bug reports")
	}
	g.Expect(w.mustRun("check")).To(HavePrefix("ASSUMPTION"))
}

func TestCheck_Leases_EachIsJudged(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "check-leases")
	lease := func(name string, renewed time.Duration) {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: new("pod"), RenewTime: &metav1.MicroTime{Time: time.Now().Add(-renewed)},
		}}
		g.Expect(k8s.Create(t.Context(), l)).To(Succeed())
		t.Cleanup(func() { _ = k8s.Delete(context.Background(), l) })
	}
	verdicts := func() (all []plugin.Verdict) {
		var report plugin.Report
		g.Expect(json.Unmarshal([]byte(w.plivo("check", "-o", "json").Out), &report)).To(Succeed())
		for _, f := range report.Findings {
			if f.Assumption == "A replica of the operator is the leader" {
				all = append(all, f.Verdict)
			}
		}
		return all
	}
	lease("subaccount-operator.a-renamed", time.Hour)
	g.Expect(verdicts()).To(Equal([]plugin.Verdict{plugin.VerdictDiffers}))
	lease("subaccount-operator.b", 0)
	g.Expect(verdicts()).To(Equal([]plugin.Verdict{plugin.VerdictUnknown, plugin.VerdictOK}))
}

func TestCheck_CannotRun_ExitsWith2(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "check-not")
	declined := w.plivo("check", "--probe")
	g.Expect(declined.Code).To(Equal(2))
	g.Expect(declined.Err).To(ContainSubstring("the probe was declined"))
	sim.Inject(plivosim.Fault{Account: w.main, Ops: []plivosim.Op{plivosim.OpCreate}, Status: 400})
	refused := w.plivo("check", "--probe", "--yes")
	g.Expect(refused.Code).To(Equal(2))
	g.Expect(refused.Err).To(ContainSubstring("HTTP 400"))
	g.Expect(w.writes()).To(Equal(1), "the refused create call alone")
	sim.ClearFaults()
	unreachable := w.plivo("check", "--server", "https://127.0.0.1:1")
	g.Expect(unreachable.Code).To(Equal(2))
	g.Expect(unreachable.Err).To(ContainSubstring("127.0.0.1:1"))
	missing := w.plivo("check", "--account", "no-such-account")
	g.Expect(missing.Code).To(Equal(1))
	g.Expect(missing.Out).To(ContainSubstring("it does not exist"))
	sim.Inject(plivosim.Fault{Account: w.main, Status: 401})
	g.Expect(w.plivo("check", "--probe", "--yes").Code).To(Equal(2), "the probe needs a list")
	rejected := w.plivo("check")
	g.Expect(rejected.Code).To(Equal(1))
	g.Expect(strings.Join(strings.Fields(rejected.Out), " ")).To(ContainSubstring("HTTP 401"))
}
