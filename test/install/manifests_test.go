// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("The manifests of a release", func() {
	It("keep all resources through upgrade, rollback, deletion and reinstallation", func() {
		w := newWorld("team-a", "team-b")
		first, next := dist("v1.0.0"), dist("v1.1.0")
		args := []string{"--plivo-base-url", w.simURL}

		By("installing")
		w.applyDist(first)
		credentials := w.credentials(operatorNamespace, "plivo-main")
		w.kubectl("", "apply", "-f", filepath.Join(root, "config", "samples", "account.yaml"))
		m := w.start(operatorNamespace, deploymentName, args...)
		w.apply("a", "default", w.tenants...)
		w.expectReady()
		before, deployment := w.kept(), w.deployment()
		Expect(before).To(HaveLen(2 + 1 + 3*2))

		By("upgrading and rolling back")
		for _, version := range []struct{ dir, image string }{{next, ":v1.1.0"}, {first, ":v1.0.0"}} {
			w.applyDist(version.dir)
			m.end()
			m = w.start(operatorNamespace, deploymentName, args...)
			w.expectServed()
			Expect(w.kept()).To(Equal(before))
			Expect(w.deployment().UID).To(Equal(deployment.UID))
			Expect(w.deployment().Spec.Template.Spec.Containers[0].Image).To(HaveSuffix(version.image))
		}

		By("deleting install.yaml under the running manager")
		w.kubectl("", "delete", "-f", filepath.Join(first, "install.yaml"))
		Expect(isNotFound(w.k8s.Get(ctx, client.ObjectKeyFromObject(deployment), deployment))).To(BeTrue())
		Eventually(m.Exited()).Should(BeClosed(), "the manager has lost its rights, including that to its lease")
		Expect(w.kept()).To(Equal(before))

		By("reinstalling")
		w.applyDist(first)
		Expect(w.k8s.Create(ctx, credentials)).To(Succeed()) // the deletion of the namespace has removed them
		m = w.start(operatorNamespace, deploymentName, args...)
		w.expectServed()
		Expect(w.kept()).To(Equal(before))

		By("deleting the CRDs after the manager, which blocks, and recovering")
		atPlivo := w.sim.Subaccounts(credentials.StringData["auth_id"])
		m.end()
		w.kubectl("", "delete", "-f", filepath.Join(first, "install.yaml"))
		w.kubectl("", "delete", "--wait=false", "-f", filepath.Join(first, "crds.yaml"))
		w.expectTerminating()
		w.applyDist(first)
		m = w.start(operatorNamespace, deploymentName, args...)
		w.kubectl("", "wait", "--for=delete", "--timeout=3m", "-f", filepath.Join(first, "crds.yaml"))
		_ = m.Stop(syscall.SIGTERM) // its exit code does not matter, because its CRDs are gone
		w.kubectl("", "delete", "-f", filepath.Join(first, "install.yaml"))
		Eventually(w.leftovers).Should(BeEmpty())
		Expect(w.sim.Subaccounts(credentials.StringData["auth_id"])).To(Equal(atPlivo))
		Expect([]int{w.sent(plivosim.OpCreate), w.sent(plivosim.OpDelete)}).To(Equal([]int{2, 0}))
	})
})

// dist returns the output folder of `make dist`, which it runs once for each version.
func dist(version string) string {
	GinkgoHelper()
	dir := filepath.Join(home, "dist", version)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	_, err := run([]string{"MAKEFLAGS="}, "", "make", "dist", "VERSION="+version, "DIST="+dir)
	Expect(err).NotTo(HaveOccurred())
	return dir
}

// applyDist installs a release with the commands of docs/install.md.
func (w *world) applyDist(dir string) {
	GinkgoHelper()
	crds := filepath.Join(dir, "crds.yaml")
	w.kubectl("", "apply", "--server-side", "-f", crds)
	w.kubectl("", "wait", "--for=condition=Established", "--timeout=3m", "-f", crds)
	w.kubectl("", "apply", "--server-side", "-f", filepath.Join(dir, "install.yaml"))
}
