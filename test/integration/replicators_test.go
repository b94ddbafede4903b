package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var _ = Describe("The metadata of a Secret", func() {
	It("makes no replicator copy it, by the list of the installation", func() {
		w := newWorld()
		create := func(name, key string, in *map[string]string, s *v1alpha1.Subaccount) error {
			s.Name = name
			*in = map[string]string{key: "true"}
			return k8s.Create(ctx, s)
		}
		for _, key := range []string{
			"reflector.v1.k8s.emberstack.com/reflection-allowed", "replicator.v1.mittwald.de/replicate-to", "kubed.appscode.com/sync",
			"config.syncer/sync", "external-secrets.io/push", "clustersecret.io/copy", "synator/sync",
		} {
			s := w.unsaved("a")
			err := create("labelled", key, &s.Spec.Secret.Labels, s)
			Expect(err).To(beForbidden(), key)
			Expect(err).To(MatchError(ContainSubstring(key)))
			s = w.unsaved("a")
			Expect(create("annotated", key, &s.Spec.Secret.Annotations, s)).To(beForbidden(), key)
		}
		for name, key := range map[string]string{"reloaded": "reloader.stakater.com/match", "own": "team.example.com/x", "plain": "mittwald", "like": "notmittwald.de/x"} {
			s := w.unsaved("a")
			Expect(create(name, key, &s.Spec.Secret.Annotations, s)).To(Succeed())
			expectReady(s)
		}

		By("refusing another domain, and letting resources that have it already go on")
		policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "subaccount-operator-secret-metadata"}}
		setDomains := func(list string) (before string) {
			edit(policy, func(p *admissionv1.ValidatingAdmissionPolicy) {
				for i := range p.Spec.Variables {
					if v := &p.Spec.Variables[i]; v.Name == "domains" {
						before, v.Expression = v.Expression, list
					}
				}
			})
			return before
		}
		before := setDomains(`["example.com"]`)
		DeferCleanup(func() { setDomains(before) })
		Eventually(func() error { // a policy takes a moment to be in force
			s := w.unsaved("b")
			s.GenerateName, s.Name = "refused-", ""
			s.Spec.Secret.Annotations = map[string]string{"team.example.com/x": "true"}
			return k8s.Create(ctx, s)
		}).Should(beForbidden())
		own := w.unsaved("own")
		edit(own, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "renamed" })
		expectReady(own)
		Expect(k8s.Delete(ctx, own)).To(Succeed())
		Eventually(gone(own)).Should(BeTrue())
	})
})
