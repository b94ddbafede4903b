// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

const (
	operatorNamespace = "subaccount-operator-system"
	deploymentName    = "subaccount-operator-controller-manager"
)

var _ = Describe("A release of the chart", func() {
	It("keeps all resources through upgrades, rollbacks, uninstall and reinstall", func() {
		w := newWorld("team-a", "team-b")
		const fields = "create: true, credentialsSecretName: plivo, sweepInterval: 10s, "
		values := func(budget string) string {
			return w.values("defaultAccount: {" + fields + "requestsPer5Seconds: " + budget + "}\n")
		}
		upgrade := []string{"upgrade", "subaccount-operator", "--namespace", operatorNamespace, "--values", "-"}

		By("installing the previous release and upgrading it to this one")
		m := w.upgradeFromPrevious(upgrade, fields)
		account, deployment := w.account("default"), w.deployment()
		Expect(account.Spec.RequestsPer5Seconds).To(BeEquivalentTo(200))
		before := w.kept()
		Expect(before).To(HaveLen(2 + 1 + 3*2)) // CRDs, the Account, and for each tenant a Subaccount, its Secret and its subaccount

		By("upgrading to the next version, whose CRD has one more field")
		w.helm(values("100"), append(upgrade, nextRevision())...)
		m.end()
		m = w.start(operatorNamespace, deploymentName)
		w.expectServed()
		Expect(w.kept()).To(Equal(before))
		Expect(w.account("default").Spec.RequestsPer5Seconds).To(BeEquivalentTo(100))
		Expect(w.deployment().UID).To(Equal(deployment.UID))
		Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(HaveSuffix(":v9.9.9"))
		Expect(w.hasField("fromTheNextRevision")).To(BeTrue())

		By("downgrading as docs/upgrade.md describes, which keeps the CRDs, and upgrading again")
		again := []string{"upgrade", "subaccount-operator", "--namespace", operatorNamespace, "--reset-then-reuse-values"}
		w.helm("", append(again, chart, "--set", "crds.enabled=false")...)
		m.end()
		m = w.start(operatorNamespace, deploymentName)
		w.expectServed()
		Expect(w.kept()).To(Equal(before))
		Expect(w.deployment().Spec.Template.Spec).To(Equal(deployment.Spec.Template.Spec))
		Expect(w.hasField("fromTheNextRevision")).To(BeTrue())
		w.helm("", append(again, nextRevision(), "--set", "crds.enabled=true")...)
		Expect(w.kept()).To(Equal(before))

		By("stopping the manager for a restore, as docs/backup.md describes")
		w.helm("", append(again, nextRevision(), "--set", "replicaCount=0", "--set", "admissionPolicy.extraStatusWriters={system:serviceaccount:velero:velero}")...)
		Expect(w.deployment().Spec.Replicas).To(HaveValue(BeZero()))
		w.helm("", "rollback", "subaccount-operator", "--namespace", operatorNamespace)
		Expect(w.deployment().Spec.Replicas).To(HaveValue(BeEquivalentTo(1)))

		By("disabling and enabling leader election")
		w.helm("", append(again, nextRevision(), "--set", "leaderElection.enabled=false")...)
		Expect(w.deployment().Spec.Strategy.Type).To(Equal(appsv1.RecreateDeploymentStrategyType))
		w.helm("", append(again, nextRevision(), "--set", "leaderElection.enabled=true")...)
		Expect(w.deployment().Spec.Strategy.Type).To(Equal(appsv1.RollingUpdateDeploymentStrategyType))

		By("rolling back")
		w.helm("", "rollback", "subaccount-operator", "2", "--namespace", operatorNamespace)
		m.end()
		m = w.start(operatorNamespace, deploymentName)
		w.expectServed()
		Expect(w.kept()).To(Equal(before))
		Expect(w.deployment().UID).To(Equal(deployment.UID))
		Expect(w.deployment().Spec.Template.Spec).To(Equal(deployment.Spec.Template.Spec))
		Expect(w.hasField("fromTheNextRevision")).To(BeFalse())
		w.helm(values("150"), append(upgrade, chart)...)
		Expect(w.account("default").Spec.RequestsPer5Seconds).To(BeEquivalentTo(150))

		By("uninstalling under the running manager")
		out := w.helm("", "uninstall", "subaccount-operator", "--namespace", operatorNamespace)
		Expect(out).To(And(ContainSubstring("[Account] default"), ContainSubstring("[CustomResourceDefinition] subaccounts.plivo.subaccount-operator.dev")))
		Expect(isNotFound(w.k8s.Get(ctx, client.ObjectKeyFromObject(deployment), deployment))).To(BeTrue())
		Eventually(m.Exited()).Should(BeClosed(), "the manager has lost its rights, including that to its lease")
		Expect(w.kept()).To(Equal(before))

		By("reinstalling")
		w.helm(values("150"), append(upgrade, "--install", chart)...)
		m = w.start(operatorNamespace, deploymentName)
		w.expectServed()
		Expect(w.kept()).To(Equal(before))
		w.apply("new", "default", w.tenants...)
		w.expectReady()
		Expect([]int{w.sent(plivosim.OpCreate), w.sent(plivosim.OpDelete)}).To(Equal([]int{4, 0}))

		By("deleting the CRDs while the manager runs, then the release")
		main := w.subaccounts()[0].Status.AccountID
		atPlivo := w.sim.Subaccounts(main)
		w.kubectl("", "delete", "crd", "-l", "app.kubernetes.io/name=subaccount-operator")
		m.end()
		w.helm("", "uninstall", "subaccount-operator", "--namespace", operatorNamespace)
		Expect(w.sim.Subaccounts(main)).To(Equal(atPlivo))
		Expect(w.sent(plivosim.OpDelete)).To(BeZero())
		Eventually(w.leftovers).Should(BeEmpty())
	})

	It("takes over from install.yaml; kubectl stays a field manager of the CRDs", func() {
		w := newWorld()
		manifests := dist("v1.0.0")
		w.applyDist(manifests)
		w.kubectl("", "delete", "-f", filepath.Join(manifests, "install.yaml"))
		upgrade := []string{"upgrade", "--install", "subaccount-operator", "--namespace", operatorNamespace, "--create-namespace"}
		w.helm("", append(upgrade, chart, "--take-ownership")...)
		_, err := helm(plane.Kubeconfig, "", append(upgrade, nextRevision())...)
		Expect(err).To(MatchError(ContainSubstring("conflict")))
		w.helm("", append(upgrade, nextRevision(), "--force-conflicts")...)
		Expect(w.hasField("fromTheNextRevision")).To(BeTrue())
	})

	It("with crds.keep=false deletes the CRDs on uninstall and keeps all subaccounts", func() {
		w := newWorld("team-a")
		values := w.values("crds: {keep: false}\ndefaultAccount: {create: true, credentialsSecretName: plivo}\n")
		install := []string{"upgrade", "--install", "subaccount-operator", chart, "--namespace", operatorNamespace, "--create-namespace", "--values", "-"}
		w.helm(values, install...)
		main := w.credentials(operatorNamespace, "plivo").StringData["auth_id"]
		m := w.start(operatorNamespace, deploymentName)
		w.apply("a", "default", w.tenants...)
		w.expectReady()
		atPlivo := w.sim.Subaccounts(main)
		Expect(atPlivo).To(HaveLen(1))
		m.end()
		w.helm("", "uninstall", "subaccount-operator", "--namespace", operatorNamespace)
		w.expectTerminating()

		w.helm(values, install...)
		m = w.start(operatorNamespace, deploymentName)
		w.kubectl("", "wait", "--for=delete", "--timeout=3m", "crd/subaccounts."+v1alpha1.Group)
		_ = m.Stop(syscall.SIGTERM) // its exit code does not matter, because its CRDs are gone
		w.helm("", "uninstall", "subaccount-operator", "--namespace", operatorNamespace)
		Eventually(w.leftovers).Should(BeEmpty())
		Expect(w.sim.Subaccounts(main)).To(Equal(atPlivo))
		Expect(w.sent(plivosim.OpDelete)).To(BeZero())
	})

	It("runs in parallel with another release in another namespace", func() {
		w := newWorld("team-a", "team-b")
		const managerOne, managerTwo = "system:serviceaccount:one:op-one-subaccount-operator-manager", "system:serviceaccount:two:op-two-subaccount-operator-manager"
		Expect(w.install("one", "team-a", "")).To(Succeed())
		By("rejecting a release if one of the two would deny the other's status writes")
		err := w.install("two", "team-b", "crds: {enabled: false}")
		Expect(err).To(MatchError(ContainSubstring("with " + managerTwo + " in its admissionPolicy.extraStatusWriters")))
		Expect(err).To(MatchError(ContainSubstring("add " + managerOne + " to admissionPolicy.extraStatusWriters")))
		ofTwo := "{crds: {enabled: false}, admissionPolicy: {extraStatusWriters: [" + managerOne + "]}}"
		Expect(w.install("two", "team-b", ofTwo)).To(MatchError(Not(ContainSubstring("add " + managerOne))))
		By("installing it after each release allows the other's ServiceAccount")
		Expect(w.install("one", "team-a", "{admissionPolicy: {extraStatusWriters: ["+managerTwo+"]}}")).To(Succeed())
		Expect(w.install("two", "team-b", ofTwo)).To(Succeed())
		Expect(w.install("one", "team-a", "{admissionPolicy: {extraStatusWriters: ["+managerTwo+"]}}")).To(Succeed())
		mainOne, mainTwo := w.credentials("one", "plivo").StringData["auth_id"], w.credentials("two", "plivo").StringData["auth_id"]
		one := w.start("one", "op-one-subaccount-operator-controller-manager")
		two := w.start("two", "op-two-subaccount-operator-controller-manager")
		w.apply("a", "one", "team-a")
		w.apply("b", "two", "team-b")
		w.expectServed()
		Expect(w.sim.Subaccounts(mainOne)).To(HaveLen(1))
		Expect(w.sim.Subaccounts(mainTwo)).To(HaveLen(1))
		_, err = plane.RunKubectl(ctx, "", "patch", "plivosub", "a", "-n", "team-a", "--subresource=status", "--type=merge", "--patch", `{"status": {"name": "x"}}`)
		Expect(err).To(MatchError(ContainSubstring("only the Subaccount operator writes the status")))
		for _, m := range []*manager{one, two} {
			m.end()
		}
	})
})

// values returns the chart's values with the URL of the simulated Plivo.
func (w *world) values(more string) string {
	GinkgoHelper()
	data, err := yaml.Marshal(map[string]any{"plivoBaseURL": w.simURL})
	Expect(err).NotTo(HaveOccurred())
	return string(data) + more
}

// install installs or upgrades the release op-<namespace>. It serves one tenant, with an
// Account that has the namespace's name.
func (w *world) install(namespace, tenant, values string) error {
	_, err := helm(plane.Kubeconfig, values, "upgrade", "--install", "op-"+namespace, chart, "--namespace", namespace, "--create-namespace", "--values", "-",
		"--set", "plivoBaseURL="+w.simURL+",watchNamespaces={"+tenant+"},accountSelector=shard="+namespace+",defaultAccount.create=true",
		"--set", "defaultAccount.name="+namespace+",defaultAccount.credentialsSecretName=plivo,defaultAccount.labels.shard="+namespace)
	return err
}

// nextRevision returns a copy of the chart with a higher version and one more CRD field.
func nextRevision() string {
	GinkgoHelper()
	dir := filepath.Join(GinkgoT().TempDir(), "subaccount-operator")
	Expect(os.CopyFS(dir, os.DirFS(chart))).To(Succeed())
	edit := func(name, old, replacement string) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(data), old)).To(BeNumerically(">=", 1), name)
		Expect(os.WriteFile(path, []byte(strings.Replace(string(data), old, replacement, 1)), 0o600)).To(Succeed())
	}
	edit("Chart.yaml", "\nversion: 0.0.0-dev", "\nversion: 9.9.9")
	edit("Chart.yaml", "appVersion: v0.0.0-dev", "appVersion: v9.9.9")
	edit("files/crds/plivo.subaccount-operator.dev_subaccounts.yaml",
		"              suspend:\n", "              fromTheNextRevision:\n                type: string\n              suspend:\n")
	return dir
}

// hasField returns whether the CRD of Subaccounts has a field in spec.
func (w *world) hasField(name string) bool {
	GinkgoHelper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	Expect(w.k8s.Get(ctx, types.NamespacedName{Name: "subaccounts." + v1alpha1.Group}, crd)).To(Succeed())
	_, known := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties[name]
	return known
}

func (w *world) account(name string) *v1alpha1.Account {
	GinkgoHelper()
	a := &v1alpha1.Account{}
	Expect(w.k8s.Get(ctx, types.NamespacedName{Name: name}, a)).To(Succeed())
	return a
}

func (w *world) deployment() *appsv1.Deployment {
	GinkgoHelper()
	d := &appsv1.Deployment{}
	Expect(w.k8s.Get(ctx, types.NamespacedName{Namespace: operatorNamespace, Name: deploymentName}, d)).To(Succeed())
	return d
}

// leftovers returns the cluster-wide objects that exist after an uninstallation.
func (w *world) leftovers() string {
	GinkgoHelper()
	return w.kubectl("", "get", clusterKinds, "-l", "app.kubernetes.io/name=subaccount-operator", "-o", "name")
}
