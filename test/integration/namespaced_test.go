// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var _ = Describe("With --namespaces", func() {
	It("serves where the Role exists, reports a missing one, drains deleted ones", func() {
		w := newWorld()
		for _, name := range []string{"without", "elsewhere"} {
			w.namespace(w.name + "-" + name)
		}
		without := w.name + "-without"
		withoutRole[without] = true
		Expect(op.stop(syscall.SIGTERM)).To(Succeed())
		everywhere := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "subaccount-operator-secrets-rolebinding"}}
		Expect(k8s.Delete(ctx, everywhere)).To(Succeed())
		defer func() {
			install("config/default")
			Eventually(hasWatchOnSecrets(w.name + "-elsewhere")).Should(BeTrue())
			op = startManager()
			w.sweep(1) // the next spec needs a manager that works
		}()
		Eventually(hasWatchOnSecrets(without)).Should(BeFalse())
		grantSecretsRole(w.name)
		m := startManager("--namespaces", w.name+","+without)
		in := func(namespace string) func(*v1alpha1.Subaccount) {
			return func(s *v1alpha1.Subaccount) { s.Namespace = namespace }
		}
		served, waiting, elsewhere := w.apply("a"), w.apply("a", in(without)), w.apply("a", in(w.name+"-elsewhere"))
		expectReady(served)
		w.expectExact(served)
		Eventually(readyState(waiting)).Should(Equal("False/NamespaceNotAllowed"))

		grantSecretsRole(without)
		expectReady(waiting) // without a watch on its Secret: that needs a restart
		w.expectExact(waiting)
		Expect(readyState(elsewhere)()).To(Equal("not reconciled"))
		Expect(w.names()).To(HaveLen(2))

		// The namespace controller deletes the Role at once, so the next process has no Role there either.
		Expect(m.stop(syscall.SIGTERM)).To(Succeed())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: without}}
		Expect(k8s.Delete(ctx, ns)).To(Succeed())
		Eventually(isGone(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: without, Name: "subaccount-operator-secrets"}})).Should(BeTrue())
		m = startManager("--namespaces", w.name+","+without)
		Eventually(isGone(ns)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		Expect(m.stop(syscall.SIGTERM)).To(Succeed())
	})
})

// grantSecretsRole applies config/tenant, which grants the manager the Role on Secrets.
func grantSecretsRole(namespace string) {
	GinkgoHelper()
	runKustomize("config/tenant", "apply", "-n", namespace)
	Eventually(hasWatchOnSecrets(namespace)).Should(BeTrue())
}

// hasWatchOnSecrets returns whether the API server allows the manager to watch the
// namespace's Secrets.
func hasWatchOnSecrets(namespace string) func() bool {
	return func() bool {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "watch", Resource: "secrets"},
		}}
		Expect(asOperator.Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}
}
