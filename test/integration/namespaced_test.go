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
	It("serves those where it has the Role, says where it has not, and drains one that is deleted", func() {
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
			Eventually(mayWatchSecrets(w.name + "-elsewhere")).Should(BeTrue())
			op = startManager()
			w.sweep(1) // it works
		}()
		Eventually(mayWatchSecrets(without)).Should(BeFalse())
		giveSecrets(w.name)
		m := startManager("--namespaces", w.name+","+without)
		in := func(namespace string) func(*v1alpha1.Subaccount) {
			return func(s *v1alpha1.Subaccount) { s.Namespace = namespace }
		}
		served, waiting, elsewhere := w.apply("a"), w.apply("a", in(without)), w.apply("a", in(w.name+"-elsewhere"))
		expectReady(served)
		w.expectExact(served)
		Eventually(reason(waiting)).Should(Equal("False/NamespaceNotAllowed"))

		giveSecrets(without)
		Eventually(m.Exited(), "90s").Should(BeClosed(), "to be started anew, as a Deployment does")
		m = startManager("--namespaces", w.name+","+without)
		w.sweep(1)
		expectReady(waiting)
		w.expectExact(waiting)
		Expect(reason(elsewhere)()).To(Equal("not looked at"))
		Expect(w.names()).To(HaveLen(2))

		// Its Role goes at once, and is not there for the next process either.
		Expect(m.stop(syscall.SIGTERM)).To(Succeed())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: without}}
		Expect(k8s.Delete(ctx, ns)).To(Succeed())
		Eventually(gone(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: without, Name: "subaccount-operator-secrets"}})).Should(BeTrue())
		m = startManager("--namespaces", w.name+","+without)
		Eventually(gone(ns), "60s").Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		Expect(m.stop(syscall.SIGTERM)).To(Succeed())
	})
})

// giveSecrets gives the manager the Role of config/tenant in a namespace.
func giveSecrets(namespace string) {
	GinkgoHelper()
	manifests("config/tenant", "apply", "-n", namespace)
	Eventually(mayWatchSecrets(namespace)).Should(BeTrue())
}

// mayWatchSecrets asks as the manager.
func mayWatchSecrets(namespace string) func() bool {
	return func() bool {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "watch", Resource: "secrets"},
		}}
		Expect(forger.Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}
}
