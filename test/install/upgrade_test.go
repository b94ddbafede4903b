// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// upgradeFromPrevious installs the chart of the previous release with a Subaccount of each tenant,
// and upgrades it to this chart as CHANGELOG.md says. Without PREVIOUS_MANAGER, the path of its
// manager, both run this manager: the code of the previous one is not in this repository.
func (w *world) upgradeFromPrevious(args []string, account string) *manager {
	GinkgoHelper()
	values := func(budget string) string { return w.values("defaultAccount: {" + account + budget + ": 200}\n") }
	w.helm(values("requestBudget"), append(args, "--install", "--create-namespace", filepath.Join(root, "test", "upgrade", "previous"))...)
	w.credentials(operatorNamespace, "plivo")
	m := w.startProgram(cmp.Or(os.Getenv("PREVIOUS_MANAGER"), managerBinary), operatorNamespace, deploymentName)
	w.apply("old", "default", w.tenants...)
	w.expectReady()
	before := w.kept()
	Expect(w.hasField("recreatePolicy")).To(BeFalse())
	m.end()
	calls, lists, updates := len(w.sim.Calls()), w.sent(plivosim.OpList), w.sent(plivosim.OpUpdate)

	_, err := helm(plane.Kubeconfig, values("requestBudget"), append(args, chart)...)
	Expect(err).To(MatchError(ContainSubstring("additional properties 'requestBudget' not allowed")), "values without the action required")
	w.helm(values("requestsPer5Seconds"), append(args, chart)...)
	Expect(w.hasField("recreatePolicy")).To(BeTrue())
	Expect(w.account("default").Spec.RequestsPer5Seconds).To(BeEquivalentTo(200))
	m = w.start(operatorNamespace, deploymentName)
	w.expectSweep("after-the-upgrade")
	w.expectReady()
	Expect(w.kept()).To(Equal(before))
	Expect(w.sent(plivosim.OpList)-lists).To(Equal(len(w.sim.Calls())-calls), "the upgrade sends only lists to Plivo")
	w.expectServed()
	Expect(w.sent(plivosim.OpUpdate)-updates).To(Equal(len(w.tenants)), "the upgrade has caused no update")
	return m
}

// expectSweep requests a sweep of the default Account and waits for its end.
func (w *world) expectSweep(request string) {
	GinkgoHelper()
	a := w.account("default")
	was := a.DeepCopy()
	a.Annotations[v1alpha1.ReconcileRequestedAtAnnotation] = request
	Expect(w.k8s.Patch(ctx, a, client.MergeFrom(was))).To(Succeed())
	Eventually(func() string { return w.account("default").Status.LastHandledReconcileAt }).Should(Equal(request))
}
