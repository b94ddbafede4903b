// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// tenantClient returns a client for a user who has only one of Kubernetes' own
// ClusterRoles, in this world's namespace.
func (w *world) tenantClient(clusterRole string) client.Client {
	GinkgoHelper()
	name := w.name + "-" + clusterRole
	Expect(k8s.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	})).To(Succeed())
	config := rest.CopyConfig(plane.Config)
	config.Impersonate.UserName = name
	c, err := client.New(config, client.Options{Scheme: k8s.Scheme(), Mapper: k8s.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	// The API server applies the RoleBinding and the aggregated rules after a moment.
	Eventually(func() error { return c.List(ctx, &v1alpha1.SubaccountList{}, client.InNamespace(w.name)) }).Should(Succeed())
	return c
}

func beForbidden() OmegaMatcher { return WithTransform(apierrors.IsForbidden, BeTrue()) }

var _ = Describe("A tenant", func() {
	It("with edit manages Subaccounts in its namespace and nothing else", func() {
		w, other := newWorld(), newWorld()
		theirs := other.apply("theirs")
		expectReady(theirs)
		for _, role := range []string{"edit", "admin"} {
			t := w.tenantClient(role)
			s := w.apply(role)
			expectReady(s)
			Expect(t.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			before := s.DeepCopy()
			s.Spec.Name = ptr.To("By the tenant with " + role)
			Expect(t.Patch(ctx, s, client.MergeFrom(before))).To(Succeed())
			before = s.DeepCopy()
			s.Status.AuthID = theirs.Status.AuthID
			Expect(t.Status().Patch(ctx, s, client.MergeFrom(before))).To(beForbidden())
			Expect(t.Status().Update(ctx, s)).To(beForbidden())
			a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
			Expect(t.Get(ctx, client.ObjectKeyFromObject(a), a)).To(beForbidden())
			Expect(t.Patch(ctx, a, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"adoption":null}}`)))).To(beForbidden())
			Expect(t.Create(ctx, &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: "mine-" + role}})).To(beForbidden())
			Expect(t.Get(ctx, client.ObjectKeyFromObject(theirs), theirs.DeepCopy())).To(beForbidden())
			Expect(t.Get(ctx, client.ObjectKeyFromObject(other.secret(theirs)), &corev1.Secret{})).To(beForbidden())
			Expect(t.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: w.name}, &corev1.Secret{})).To(beForbidden())
		}
		viewer := w.tenantClient("view")
		Expect(viewer.Delete(ctx, &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "edit"}})).To(beForbidden())
		for _, role := range []string{"view", "edit", "admin"} {
			built := &rbacv1.ClusterRole{}
			Expect(k8s.Get(ctx, client.ObjectKey{Name: role}, built)).To(Succeed())
			for _, rule := range built.Rules {
				if slices.Contains(rule.APIGroups, v1alpha1.Group) {
					Expect(rule.Resources).To(Equal([]string{"subaccounts"}), role)
				}
			}
		}
	})

	It("cannot write a status, and neither can a cluster administrator", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		w.expectExact(s)
		before := s.DeepCopy()
		s.Status.Name = ptr.To("forged")
		err := k8s.Status().Patch(ctx, s, client.MergeFrom(before))
		Expect(err).To(beForbidden())
		Expect(err).To(MatchError(ContainSubstring("only the Subaccount operator writes the status")))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
		unchanged := a.DeepCopy()
		a.Status.AuthID = "MAFORGEDFORGEDFORGED"
		// A patch, because the operator may write this status in the meantime: an update would conflict.
		Expect(k8s.Status().Patch(ctx, a, client.MergeFrom(unchanged))).To(beForbidden())
		w.sweep(1)
		w.expectExact(s)
	})

	It("gets only Opaque Secrets in its own namespace, despite forged owners", func() {
		victim, w := newWorld(), newWorld()
		theirs := victim.apply("a")
		expectReady(theirs)
		token := victim.secret(theirs).Data["auth_token"]

		By("creating a Secret of another type whose owner is the tenant's Subaccount")
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) })
		minted := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a-plivo", OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("Subaccount"))}},
			Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "x", "password": "y"},
		}
		Expect(k8s.Create(ctx, minted)).To(Succeed())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = nil })
		expectReady(s)
		w.expectExact(s)

		By("creating Secrets with the operator's label whose owner is another tenant's Subaccount")
		for _, name := range []string{"b-plivo", "stolen"} {
			forged := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: w.name, Name: name, Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(theirs, v1alpha1.GroupVersion.WithKind("Subaccount"))},
					Finalizers:      []string{"example.com/held"}, // keeps the garbage collector from deleting it at once
				},
				StringData: map[string]string{"auth_id": theirs.Status.AuthID, "auth_token": "guessed"},
			}
			Expect(k8s.Create(ctx, forged)).To(Succeed())
			DeferCleanup(func() { edit(forged, func(s *corev1.Secret) { s.Finalizers = nil }) })
		}
		b := w.apply("b")
		Eventually(readyState(b)).Should(Equal("False/SecretConflict"))
		edit(theirs, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Makes the operator read the Secrets") })
		expectReady(theirs)
		victim.sweep(1)
		victim.expectExact(theirs)
		var all corev1.SecretList
		Expect(k8s.List(ctx, &all, client.InNamespace(w.name))).To(Succeed())
		Expect(all.Items).To(HaveLen(3))
		for _, secret := range all.Items {
			for _, value := range secret.Data {
				Expect(value).NotTo(Equal(token))
			}
		}

		By("naming the main account's credentials as the Secret of a Subaccount")
		inside := w.apply("inside", func(s *v1alpha1.Subaccount) { s.Namespace, s.Spec.Secret.Name = operatorNamespace, w.name })
		Eventually(readyState(inside)).Should(Equal("False/SecretConflict"))
		Expect(k8s.Delete(ctx, inside)).To(Succeed())
		Eventually(isGone(inside)).Should(BeTrue())
		Expect(isGone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.name}})()).To(BeFalse())
	})

	It("cannot name another namespace's objects or use reserved labels", func() {
		w := newWorld()
		for what, change := range map[string]func(*v1alpha1.Subaccount){
			"another namespace's Secret":  func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = operatorNamespace + "/plivo" },
			"a path":                      func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "../plivo" },
			"another namespace's Account": func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = "other/default" },
			"a token for a ServiceAccount": func(s *v1alpha1.Subaccount) {
				s.Spec.Secret.Annotations = map[string]string{"kubernetes.io/service-account.name": "default"}
			},
			"another owner": func(s *v1alpha1.Subaccount) {
				s.Spec.Secret.Labels = map[string]string{v1alpha1.ManagedByLabel: "somebody"}
			},
			"a bootstrap token": func(s *v1alpha1.Subaccount) {
				s.Spec.Secret.Labels = map[string]string{"bootstrap.kubernetes.io/token": "yes"}
			},
		} {
			s := &v1alpha1.Subaccount{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a"},
				Spec:       v1alpha1.SubaccountSpec{Name: ptr.To("A"), AccountRef: v1alpha1.AccountReference{Name: w.name}},
			}
			change(s)
			Expect(k8s.Create(ctx, s)).To(WithTransform(apierrors.IsInvalid, BeTrue()), what)
		}
	})

	It("cannot adopt another tenant's subaccount, and its deletion leaves it intact", func() {
		victim, w := newWorld(), newWorld()
		theirs := victim.apply("theirs")
		expectReady(theirs)
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: victim.name}}
		applyAdopting := func(name string, policy v1alpha1.DeletionPolicy) *v1alpha1.Subaccount {
			return w.apply(name, adopting(theirs.Status.AuthID), func(s *v1alpha1.Subaccount) {
				s.Spec.AccountRef.Name, s.Spec.DeletionPolicy = victim.name, policy
			})
		}
		s := applyAdopting("no-grant", v1alpha1.DeletionPolicyOrphan)
		Eventually(readyState(s)).Should(Equal("False/AdoptionForbidden"))
		edit(a, granting(w.name, "*"))
		Eventually(readyState(s)).Should(Equal("False/AlreadyManaged"))
		for _, c := range s.Status.Conditions {
			Expect(c.Message).NotTo(ContainSubstring(theirs.Name + "/"))
			Expect(c.Message).NotTo(ContainSubstring(victim.name + "/"))
		}
		deleting := applyAdopting("deleting", v1alpha1.DeletionPolicyDelete)
		Eventually(readyState(deleting)).Should(Equal("False/AlreadyManaged"))
		for _, s := range []*v1alpha1.Subaccount{s, deleting} {
			Expect(isGone(secretOf(s))()).To(BeTrue())
			Expect(k8s.Delete(ctx, s)).To(Succeed())
			Eventually(isGone(s)).Should(BeTrue())
		}
		victim.expectExact(theirs)
		Expect(victim.calls(plivosim.OpDelete) + victim.calls(plivosim.OpGet)).To(BeZero())
	})

	It("adopts only in labelled namespaces if config/adoption-policy is installed", func() {
		installAdoptionPolicy()
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		create := func(name string) error {
			s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name}}
			s.Spec.AccountRef.Name = w.name
			adopting(console.AuthID)(s)
			return k8s.Create(ctx, s)
		}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(create("refused")).To(beForbidden())
		edit(ns, func(ns *corev1.Namespace) { ns.Labels["plivo.subaccount-operator.dev/adoption"] = "allowed" })
		Eventually(func() error { return create("allowed") }).Should(Succeed())
		edit(ns, func(ns *corev1.Namespace) { delete(ns.Labels, "plivo.subaccount-operator.dev/adoption") })
		var tries int
		Eventually(func() error {
			tries++
			return create(fmt.Sprint("again-", tries))
		}).Should(beForbidden())
		s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "allowed"}}
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "changed-without-the-label" })
		Expect(k8s.Create(ctx, w.newSubaccount("not-adopting"))).To(Succeed())
	})

	It("that edits, creates and deletes in loops does not delay others", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.RequestsPer5Seconds = 30 })
		looping := w.apply("looping")
		expectReady(looping)
		stopping, ended := make(chan struct{}), make(chan int, 2)
		stop := sync.OnceFunc(func() { close(stopping) })
		DeferCleanup(stop) // needed if the spec fails early
		loop := func(do func(i int)) {
			go func() {
				defer GinkgoRecover()
				n := 0
				defer func() { ended <- n }()
				for ; ; n++ {
					select {
					case <-stopping:
						return
					default:
						do(n)
					}
				}
			}()
		}
		loop(func(i int) {
			_ = k8s.Patch(ctx, looping.DeepCopy(), client.RawPatch("application/merge-patch+json", fmt.Appendf(nil,
				`{"metadata":{"annotations":{%q:"%d"}},"spec":{"enabled":%v}}`, v1alpha1.ReconcileRequestedAtAnnotation, i, i%2 == 0)))
		})
		loop(func(i int) {
			s := w.newSubaccount(fmt.Sprint("again-", i%20))
			if k8s.Create(ctx, s) != nil {
				_ = k8s.Delete(ctx, s)
			}
		})
		w.namespace(w.name + "-calm")
		const calm = 10
		before := len(sim.Calls())
		for i := range calm {
			s := w.apply(fmt.Sprint("calm-", i), func(s *v1alpha1.Subaccount) { s.Namespace = w.name + "-calm" })
			expectReady(s)
		}
		spent := 0 // calls in the meantime, mostly of the loops
		for _, c := range sim.Calls()[before:] {
			if c.Account == w.main && c.Op != plivosim.OpList {
				spent++
			}
		}
		stop()
		Expect(<-ended+<-ended).To(BeNumerically(">", 100), "iterations of both loops")
		// The namespaces take turns: each call of a calm Subaccount waits for a few calls of the loops, not for all.
		Expect(spent).To(BeNumerically("<", 20*calm))
		Expect(len(strings.Fields(w.history(looping.Status.AuthID)))).To(BeNumerically("<=", 2+6*4), "six in 30 s")
	})

	It("has at most as many Subaccounts as its ResourceQuota allows", func() {
		w := newWorld()
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "subaccounts"},
			Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
				"count/subaccounts.plivo.subaccount-operator.dev": resource.MustParse("2")}},
		}
		Expect(k8s.Create(ctx, quota)).To(Succeed())
		Eventually(func() corev1.ResourceList {
			Expect(k8s.Get(ctx, client.ObjectKeyFromObject(quota), quota)).To(Succeed())
			return quota.Status.Used
		}).Should(HaveLen(1), "the quota controller discovers new kinds every 30 s")
		// The API server's quota admission reads this status a moment later, and rejects all Subaccounts until then.
		Eventually(func() error { return k8s.Create(ctx, w.newSubaccount("one")) }).Should(Succeed())
		two := w.apply("two")
		Expect(k8s.Create(ctx, w.newSubaccount("three"))).To(MatchError(ContainSubstring("exceeded quota")))
		expectReady(two)
	})

	It("never sees the credentials that Plivo's responses contain", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		remote := w.expectExact(s)
		for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError, http.StatusFound} {
			text := fmt.Sprintf(`{"error":{"you":[%q,"%s:%s"],"sent":"Basic %s"},"message":%q}`,
				w.token, w.main, w.token, base64.StdEncoding.EncodeToString([]byte(w.main+":"+w.token)), remote.AuthToken)
			id := sim.Inject(plivosim.Fault{Account: w.main, Status: status, Text: text,
				Location: "http://" + w.main + ":" + w.token + "@127.0.0.1/" + remote.AuthToken})
			edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To(fmt.Sprint("Refused with ", status)) })
			Eventually(func() string { return readyState(s)() }).Should(HavePrefix("False/"))
			sim.RemoveFault(id)
			edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To(fmt.Sprint("After ", status)) })
			Eventually(readyState(s)).Should(Equal("True/Ready"))
		}
		// SynchronizedAfterSuite searches the logs, events and statuses for tokens.
	})
})

// installAdoptionPolicy installs config/adoption-policy until the end of the spec. It waits
// until the API server enforces the policy, and finally until it no longer does, because
// the next spec may adopt.
func installAdoptionPolicy() {
	GinkgoHelper()
	adopt := func() error {
		s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe"}}
		s.Spec.AccountRef.Name = "default"
		adopting("SAPROBEPROBEPROBEPRO")(s)
		return k8s.Create(ctx, s, client.DryRunAll)
	}
	install("config/adoption-policy")
	DeferCleanup(func() {
		uninstall("config/adoption-policy")
		Eventually(adopt).Should(Succeed())
	})
	Eventually(adopt).Should(beForbidden())
}
