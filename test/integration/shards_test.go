// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("Shards", func() {
	It("serve their Accounts side by side; moving an Account costs one sweep", func() {
		plain := newWorld()
		_ = op.stop(syscall.SIGTERM)
		grantLeases("shard-one", "shard-rest")
		one := startManager("--leader-elect", "--leader-election-id", "shard-one", "--account-selector", "shard=one")
		rest := startManager("--leader-elect", "--leader-election-id", "shard-rest", "--account-selector", "shard!=one")
		defer func() {
			Expect(one.stop(syscall.SIGTERM)).To(Succeed())
			Expect(rest.stop(syscall.SIGTERM)).To(Succeed())
			op = startManager()
			plain.sweep(1) // the next spec needs a manager that works
		}()
		labelled := newWorld(func(a *v1alpha1.Account) { a.Labels = map[string]string{"shard": "one"} })
		mine, theirs := labelled.apply("a"), plain.apply("b")
		missing := plain.apply("of-no-account", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = "none" })
		expectReady(mine, theirs)
		labelled.expectExact(mine)
		plain.expectExact(theirs)
		Eventually(readyState(missing)).Should(Equal("False/AccountNotFound"))
		Eventually(func() int {
			var leases coordinationv1.LeaseList
			Expect(k8s.List(ctx, &leases, client.InNamespace(operatorNamespace))).To(Succeed())
			held := 0
			for _, l := range leases.Items {
				if ptr.Deref(l.Spec.HolderIdentity, "") != "" {
					held++
				}
			}
			return held
		}).Should(Equal(2))

		// The other shard must not reconcile the Account's Subaccounts.
		Expect(one.stop(syscall.SIGTERM)).To(Succeed())
		edit(mine, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Renamed") })
		plain.sweep(1)
		Expect(labelled.names()).To(Equal([]string{"Name of a"}))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: labelled.name}}
		edit(a, func(a *v1alpha1.Account) { a.Labels = nil })
		Eventually(labelled.names).Should(Equal([]string{"Renamed"}))
		expectReady(mine)
		labelled.expectExact(mine)
		Expect(labelled.calls(plivosim.OpCreate)).To(Equal(1))
		Expect(labelled.calls(plivosim.OpUpdate)).To(Equal(2))
		Expect(labelled.calls(plivosim.OpGet)).To(BeZero())
	})
})

// grantLeases lets the operator use leases that its Role does not name.
func grantLeases(leases ...string) {
	GinkgoHelper()
	name := metav1.ObjectMeta{Namespace: operatorNamespace, Name: "shards"}
	Expect(k8s.Create(ctx, &rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, ResourceNames: leases, Verbs: []string{"get", "update"},
	}}})).To(Succeed())
	Expect(k8s.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: serviceAccountName}},
	})).To(Succeed())
}
