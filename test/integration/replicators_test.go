// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var _ = Describe("The metadata of a Secret", func() {
	It("cannot make a replicator copy it: the policy denies the known domains", func() {
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
			s := w.newSubaccount("a")
			err := create("labelled", key, &s.Spec.Secret.Labels, s)
			Expect(err).To(beForbidden(), key)
			Expect(err).To(MatchError(ContainSubstring(key)))
			s = w.newSubaccount("a")
			Expect(create("annotated", key, &s.Spec.Secret.Annotations, s)).To(beForbidden(), key)
		}
		for name, key := range map[string]string{"reloaded": "reloader.stakater.com/match", "own": "team.example.com/x", "plain": "mittwald", "like": "notmittwald.de/x"} {
			s := w.newSubaccount("a")
			Expect(create(name, key, &s.Spec.Secret.Annotations, s)).To(Succeed())
			expectReady(s)
		}

		By("denying another domain, but not for resources that use it already")
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
		createWithDomain := func() error {
			s := w.newSubaccount("b")
			s.GenerateName, s.Name = "refused-", ""
			s.Spec.Secret.Annotations = map[string]string{"team.example.com/x": "true"}
			return k8s.Create(ctx, s, client.DryRunAll)
		}
		// The API server enforces a changed policy after a moment, and the next spec needs the original one.
		DeferCleanup(func() {
			setDomains(before)
			Eventually(createWithDomain).Should(Succeed())
		})
		Eventually(createWithDomain).Should(beForbidden())
		own := w.newSubaccount("own")
		edit(own, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "renamed" })
		expectReady(own)
		Expect(k8s.Delete(ctx, own)).To(Succeed())
		Eventually(isGone(own)).Should(BeTrue())
	})
})
