// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("The lifecycle of a Subaccount", func() {
	It("creates one subaccount and one Secret with one create, one update and no get", func() {
		w := newWorld()
		w.namespace(w.name + "-other")
		all := []*v1alpha1.Subaccount{w.apply("a"), w.apply("b"), w.apply("c", func(s *v1alpha1.Subaccount) {
			s.Namespace = w.name + "-other"
			s.Spec.Enabled = nil
			s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "PLIVO_AUTH_ID", AuthToken: "PLIVO_AUTH_TOKEN"}
		})}
		expectReady(all...)
		for _, s := range all {
			w.expectExact(s)
		}
		Expect(w.names()).To(Equal([]string{"Name of a", "Name of b", "Name of c"}))
		w.sweep(2) // must cause no further calls
		Expect(w.calls(plivosim.OpCreate)).To(Equal(3))
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(3))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(readyState(a)()).To(Equal("True/Ready"))
		Expect(a.Status.AuthID).To(Equal(w.main))
		Expect(a.Status.Subaccounts).To(HaveValue(Equal(v1alpha1.SubaccountCounts{
			Total: ptr.To[int32](3), Managed: ptr.To[int32](3), Unmanaged: ptr.To[int32](0)})))
	})

	It("changes no resource version at rest", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		w.sweep(1)
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(readyState(a)()).To(Equal("True/Ready"))
		before := []string{s.ResourceVersion, w.secret(s).ResourceVersion}
		w.sweep(2)
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect([]string{s.ResourceVersion, w.secret(s).ResourceVersion}).To(Equal(before))
	})

	It("needs one sweep after a restart: no get, no update, no write", func() {
		w := newWorld()
		all := []*v1alpha1.Subaccount{w.apply("a"), w.apply("b"), w.apply("c")}
		expectReady(all...)
		w.sweep(1)
		var before []string
		for _, s := range all {
			before = append(before, s.ResourceVersion, w.secret(s).ResourceVersion)
		}
		updates := w.calls(plivosim.OpUpdate)
		killAndRestart()
		w.sweep(2) // the operator has processed the first list when it requests the second
		var after []string
		for _, s := range all {
			Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			after = append(after, s.ResourceVersion, w.secret(s).ResourceVersion)
		}
		Expect(after).To(Equal(before))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(updates))
	})

	It("applies each spec edit with one update", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Renamed") })
		expectReady(s)
		w.expectExact(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Enabled = ptr.To(false) })
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(3))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
	})

	It("restores its Secret when it is deleted, edited, stripped or made immutable", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.Secret.Labels = map[string]string{"team": "a"} })
		expectReady(s)
		secret := w.secret(s)
		broken := map[string]func(*corev1.Secret){
			"data":                 func(x *corev1.Secret) { x.Data["auth_token"] = []byte("other") },
			"missing key":          func(x *corev1.Secret) { delete(x.Data, "auth_id") },
			"the operator's label": func(x *corev1.Secret) { delete(x.Labels, v1alpha1.ManagedByLabel) },
			"the spec's label":     func(x *corev1.Secret) { x.Labels["team"] = "b" },
			"immutable":            func(x *corev1.Secret) { x.Data["auth_token"], x.Immutable = []byte("other"), ptr.To(true) },
		}
		for what, harm := range broken {
			edit(secret, harm)
			Eventually(func(g Gomega) {
				restored := secretOf(s)
				g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(restored), restored)).To(Succeed()) // the operator deletes an immutable Secret before it recreates it
				g.Expect(restored.Data).To(HaveLen(2))
				g.Expect(restored.Labels).To(And(HaveKeyWithValue("team", "a"), HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue)))
				g.Expect(string(restored.Data["auth_token"])).NotTo(Equal("other"))
				g.Expect(restored.Immutable).To(BeNil())
			}).Should(Succeed(), what)
			w.expectExact(s)
		}
		Expect(k8s.Delete(ctx, w.secret(s))).To(Succeed())
		Eventually(func() error {
			return k8s.Get(ctx, types.NamespacedName{Namespace: w.name, Name: "a-plivo"}, secret)
		}).Should(Succeed())
		w.expectExact(s)
	})

	It("renames its Secret, deletes the old one and keeps foreign labels", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.Secret.Labels = map[string]string{"team": "a", "tier": "x"} })
		expectReady(s)
		edit(w.secret(s), func(x *corev1.Secret) { x.Labels["somebody"] = "else" })
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Labels = map[string]string{"team": "a"} })
		Eventually(func() map[string]string { return w.secret(s).Labels }).Should(Equal(map[string]string{
			"team": "a", "somebody": "else", v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "renamed" })
		expectReady(s)
		w.expectExact(s)
		Eventually(isGone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a-plivo"}})).Should(BeTrue())
	})

	It("deletes with the spec's cascade policy; Orphan makes no call", func() {
		w := newWorld()
		reassign, cascade, orphan := w.apply("reassign"),
			w.apply("cascade", func(s *v1alpha1.Subaccount) { s.Spec.CascadePolicy = v1alpha1.CascadePolicyDelete }),
			w.apply("orphan", func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		expectReady(reassign, cascade, orphan)
		for _, s := range []*v1alpha1.Subaccount{reassign, cascade, orphan} {
			sim.AddNeighbour(w.main, plivosim.Neighbour{Kind: plivosim.Number, Name: s.Name, Subaccount: s.Status.AuthID})
		}
		for _, s := range []*v1alpha1.Subaccount{reassign, cascade, orphan} {
			Expect(k8s.Delete(ctx, s)).To(Succeed())
			Eventually(isGone(s)).Should(BeTrue())
		}
		Expect(w.names()).To(Equal([]string{"Name of orphan"}))
		owners := map[string]string{}
		for _, n := range sim.Neighbours(w.main) {
			owners[n.Name] = n.Subaccount
		}
		Expect(owners).To(HaveKeyWithValue("reassign", ""))
		Expect(owners).NotTo(HaveKey("cascade"))
		Expect(owners["orphan"]).NotTo(BeEmpty())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(2))
		for _, name := range []string{"reassign-plivo", "cascade-plivo", "orphan-plivo"} {
			Eventually(isGone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name}})).Should(BeTrue(), name)
		}
	})

	It("ends with its namespace, and its Account is removed after it", func() {
		w := newWorld()
		expectReady(w.apply("a"), w.apply("b"))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(readyState(a)).Should(Equal("False/InUse"))
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}})).To(Succeed())
		Eventually(isGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}})).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
		Eventually(isGone(a)).Should(BeTrue())
	})

	It("retries a refused deletion and reports Plivo's message", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpDelete}, Account: w.main, Status: http.StatusBadRequest,
			Text: `{"api_id":"x","error":"it has active calls"}`, Times: 2})
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(readyState(s)).Should(Equal("False/Deleting"))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
		Expect(meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("it has active calls"))
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(3))
	})

	It("is paused while suspended; only deletion with Orphan proceeds", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend, s.Spec.Name = ptr.To(true), ptr.To("Renamed") })
		Eventually(readyState(s)).Should(Equal("True/Suspended"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(isGone(s)).Should(BeFalse())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
	})

	It("fetches from Plivo once for each new reconcile request", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		Eventually(func() string { readyState(s)(); return s.Status.LastHandledReconcileAt }).Should(Equal("now"))
		Expect(w.calls(plivosim.OpGet)).To(Equal(1))
	})
})
