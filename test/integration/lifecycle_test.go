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
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("The life of a Subaccount", func() {
	It("makes one subaccount and one Secret for each resource, with one create, one update and no get", func() {
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
		w.sweep(2) // and nothing more happens
		Expect(w.calls(plivosim.OpCreate)).To(Equal(3))
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(3))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(reason(a)()).To(Equal("True/Ready"))
		Expect(a.Status.AuthID).To(Equal(w.main))
		Expect(a.Status.Subaccounts).To(HaveValue(Equal(v1alpha1.SubaccountCounts{
			Total: ptr.To[int32](3), Managed: ptr.To[int32](3), Unmanaged: ptr.To[int32](0)})))
	})

	It("stands still at rest: no write and no reconcile changes a resource version", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		w.sweep(1)
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(reason(a)()).To(Equal("True/Ready"))
		before := []string{s.ResourceVersion, w.secret(s).ResourceVersion}
		w.sweep(2)
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect([]string{s.ResourceVersion, w.secret(s).ResourceVersion}).To(Equal(before))
	})

	It("costs a restart one sweep: no get, no update, no write", func() {
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
		w.sweep(2) // the first of the new process has been acted upon when the second begins
		var after []string
		for _, s := range all {
			Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			after = append(after, s.ResourceVersion, w.secret(s).ResourceVersion)
		}
		Expect(after).To(Equal(before))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(updates))
	})

	It("takes edits to Plivo, one update each", func() {
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

	It("mends its Secret: deleted, edited, stripped of its label or owner, made immutable", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.Secret.Labels = map[string]string{"team": "a"} })
		expectReady(s)
		secret := w.secret(s)
		broken := map[string]func(*corev1.Secret){
			"data":        func(x *corev1.Secret) { x.Data["auth_token"] = []byte("other") },
			"type of key": func(x *corev1.Secret) { delete(x.Data, "auth_id") },
			"our label":   func(x *corev1.Secret) { delete(x.Labels, v1alpha1.ManagedByLabel) },
			"its label":   func(x *corev1.Secret) { x.Labels["team"] = "b" },
			"immutable":   func(x *corev1.Secret) { x.Data["auth_token"], x.Immutable = []byte("other"), ptr.To(true) },
		}
		for what, harm := range broken {
			edit(secret, harm)
			Eventually(func(g Gomega) {
				mended := secretOf(s)
				g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(mended), mended)).To(Succeed()) // an immutable one is deleted first
				g.Expect(mended.Data).To(HaveLen(2))
				g.Expect(mended.Labels).To(And(HaveKeyWithValue("team", "a"), HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue)))
				g.Expect(string(mended.Data["auth_token"])).NotTo(Equal("other"))
				g.Expect(mended.Immutable).To(BeNil())
			}).Should(Succeed(), what)
			w.expectExact(s)
		}
		Expect(k8s.Delete(ctx, w.secret(s))).To(Succeed())
		Eventually(func() error {
			return k8s.Get(ctx, types.NamespacedName{Namespace: w.name, Name: "a-plivo"}, secret)
		}).Should(Succeed())
		w.expectExact(s)
	})

	It("renames its Secret and leaves no old one, and keeps others' labels on it", func() {
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
		Eventually(gone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a-plivo"}})).Should(BeTrue())
	})

	It("deletes with the cascade that the spec says, and orphans without a call", func() {
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
			Eventually(gone(s)).Should(BeTrue())
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
			Eventually(gone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name}})).Should(BeTrue(), name)
		}
	})

	It("goes with its namespace, and its Account only after it", func() {
		w := newWorld()
		expectReady(w.apply("a"), w.apply("b"))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(reason(a)).Should(Equal("False/InUse"))
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}})).To(Succeed())
		Eventually(gone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}), "60s").Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
		Eventually(gone(a)).Should(BeTrue())
	})

	It("goes once Plivo no longer refuses its deletion, and reports Plivo's words until then", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpDelete}, Account: w.main, Status: http.StatusBadRequest,
			Text: `{"api_id":"x","error":"it has active calls"}`, Times: 2})
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(reason(s)).Should(Equal("False/Deleting"))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
		Expect(meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("it has active calls"))
		Eventually(gone(s), "30s").Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(3))
	})

	It("stands still while suspended, deletion included, but for a release by Orphan", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend, s.Spec.Name = ptr.To(true), ptr.To("Renamed") })
		Eventually(reason(s)).Should(Equal("True/Suspended"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(gone(s)).Should(BeFalse())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
	})

	It("takes a fresh look for each new value of the annotation", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		Eventually(func() string { reason(s)(); return s.Status.LastHandledReconcileAt }).Should(Equal("now"))
		Expect(w.calls(plivosim.OpGet)).To(Equal(1))
	})
})
