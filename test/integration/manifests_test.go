// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

var _ = Describe("The installation", func() {
	It("runs under restricted pod security with a read-only root and one token", func() {
		d := &appsv1.Deployment{}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "subaccount-operator-controller-manager"}, d)).To(Succeed())
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "manager", Labels: d.Spec.Template.Labels},
			Spec:       d.Spec.Template.Spec,
		}
		Expect(k8s.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())
		container := &pod.Spec.Containers[0]
		Expect(container.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()))
		Expect(container.VolumeMounts).To(BeEmpty())
		account := &corev1.ServiceAccount{}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: serviceAccountName}, account)).To(Succeed())
		Expect(account.AutomountServiceAccountToken).To(HaveValue(BeFalse()), "other pods with this ServiceAccount get no token")
		Expect(pod.Spec.AutomountServiceAccountToken).To(HaveValue(BeTrue()))

		container.SecurityContext.AllowPrivilegeEscalation = ptr.To(true)
		Expect(k8s.Create(ctx, pod, client.DryRunAll)).To(beForbidden(), "the API server enforces pod security")
	})

	It("from config/namespaced has no cluster-wide right on Secrets", func() {
		root, err := controlplane.Root()
		Expect(err).NotTo(HaveOccurred())
		out, err := kubectl("", "kustomize", filepath.Join(root, "config", "namespaced"))
		Expect(err).NotTo(HaveOccurred())
		roles := 0
		for text := range strings.SplitSeq(out, "\n---\n") {
			role := &rbacv1.ClusterRole{}
			Expect(yaml.Unmarshal([]byte(text), role)).To(Succeed())
			if role.Kind != "ClusterRole" {
				continue
			}
			roles++
			for _, rule := range role.Rules {
				Expect(rule.Resources).NotTo(ContainElement(Or(HavePrefix("secrets"), HavePrefix("*"))), role.Name)
			}
		}
		Expect(roles).To(BeNumerically(">", 5))
		Expect(out).To(ContainSubstring("--namespaces="))
	})
})
