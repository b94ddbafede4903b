// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var _ = Describe("Readiness", func() {
	probe := func(address, path string) func() int {
		return func() int {
			resp, err := http.Get("http://" + address + path)
			if err != nil {
				return 0 // the endpoint does not listen yet
			}
			defer func() { _ = resp.Body.Close() }()
			return resp.StatusCode
		}
	}
	readRule := func(group, resource string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{"get", "list", "watch"}}
	}
	everything := []rbacv1.PolicyRule{
		readRule("", "namespaces"), readRule("", "secrets"), readRule(v1alpha1.Group, "subaccounts"), readRule(v1alpha1.Group, "accounts"),
	}

	DescribeTable("fails until all caches have synced", func(missing int) {
		name := "blind-" + everything[missing].Resources[0]
		_ = serviceAccount(name)
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for i, rule := range everything {
			if i != missing {
				role.Rules = append(role.Rules, rule)
			} else if rule.Resources[0] == "namespaces" {
				role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: rule.Resources, Verbs: []string{"get"}})
			}
		}
		Expect(k8s.Create(ctx, role)).To(Succeed())
		Expect(k8s.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: name}},
		})).To(Succeed())
		blind, err := plane.ServiceAccount(ctx, operatorNamespace, name)
		Expect(err).NotTo(HaveOccurred())

		address := freeAddress()
		m := startManager("--kubeconfig", blind, "--health-probe-bind-address", address, "--account-selector", "serves=nothing")
		DeferCleanup(func() { _ = m.stop(syscall.SIGKILL) })
		Eventually(probe(address, "/healthz")).Should(Equal(http.StatusOK))
		Expect(probe(address, "/readyz")()).To(Equal(http.StatusInternalServerError))
		Consistently(probe(address, "/readyz")).Should(Equal(http.StatusInternalServerError))
		Expect(probe(address, "/healthz")()).To(Equal(http.StatusOK))

		role.Rules = everything
		Expect(k8s.Update(ctx, role)).To(Succeed())
		Eventually(probe(address, "/readyz")).Should(Equal(http.StatusOK))
	},
		Entry("without namespaces", 0), Entry("without Secrets", 1), Entry("without Subaccounts", 2), Entry("without Accounts", 3),
	)

	It("needs no lease", func() {
		const leaseName = "subaccount-operator." + v1alpha1.Group // the lease that the Role names
		addresses := []string{freeAddress(), freeAddress()}
		for _, address := range addresses {
			m := startManager("--leader-elect", "--leader-election-id", leaseName, "--health-probe-bind-address", address, "--account-selector", "serves=nothing")
			DeferCleanup(func() { Expect(m.stop(syscall.SIGTERM)).To(Succeed()) })
		}
		for _, address := range addresses {
			Eventually(probe(address, "/readyz")).Should(Equal(http.StatusOK))
		}
	})
})
