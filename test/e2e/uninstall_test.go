// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

var _ = Describe("Uninstall", func() {
	It("removes all Subaccounts, even pending ones, and deletes nothing at Plivo", func() {
		w := newWorld("tenant")
		w.startManager("--plivo-settle-margin", "5m")
		all := wanted{}
		w.apply(all, "tenant", "old", 24)
		w.expectExact(all, time.Minute)
		// The settle time and the sweep interval are longer than the spec, so pending
		// creations stay pending.
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		Expect(w.k8s.Patch(ctx, a, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"sweepInterval":"1h"}}`)))).To(Succeed())
		for _, when := range []plivosim.When{plivosim.Before, plivosim.After} {
			w.plivo.failCreates(3, plivosim.Fault{When: when, What: plivosim.Hang})
		}
		w.apply(all, "tenant", "new", 6)
		Eventually(func() int { return w.plivo.sent(plivosim.OpCreate) }).Should(Equal(30))
		Eventually(w.plivo.subaccounts).Should(HaveLen(len(w.strangers) + 27))
		before := w.plivo.subaccounts()

		root, err := controlplane.Root()
		Expect(err).NotTo(HaveOccurred())
		w.recorder.saveResources("before-the-uninstall")
		// `make uninstall` runs the same command.
		_, err = w.plane.RunKubectl(ctx, "", "delete", "--timeout", "60s", "-k", filepath.Join(root, "config", "crd"))
		Expect(err).NotTo(HaveOccurred())
		for _, kind := range []client.ObjectList{&v1alpha1.SubaccountList{}, &v1alpha1.AccountList{}} {
			Eventually(func() bool { return apierrors.IsNotFound(w.k8s.List(ctx, kind)) }).Should(BeTrue())
		}
		Expect(w.plivo.sent(plivosim.OpDelete)).To(BeZero())
		Expect(w.plivo.subaccounts()).To(Equal(before))
	})
})
