// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"io"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// objects are the objects in manifests.
type objects []*unstructured.Unstructured

// parse reads a stream of manifests.
func parse(text string) objects {
	GinkgoHelper()
	var all objects
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		Expect(err).NotTo(HaveOccurred())
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// expectAccepted applies the objects as a dry run, as kubectl apply --server-side
// --force-conflicts --dry-run=server does.
func (all objects) expectAccepted() {
	GinkgoHelper()
	Expect(all).NotTo(BeEmpty())
	for _, o := range all {
		Expect(dryClient.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.DryRunAll, client.ForceOwnership, client.FieldOwner("kubectl"))).
			To(Succeed(), "%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
	}
}

// of returns the objects of a kind.
func (all objects) of(kind string) objects {
	return slices.DeleteFunc(slices.Clone(all), func(o *unstructured.Unstructured) bool { return o.GetKind() != kind })
}

// decode reads the only object of a kind.
func (all objects) decode(kind string, into any) {
	GinkgoHelper()
	of := all.of(kind)
	Expect(of).To(HaveLen(1))
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(of[0].Object, into)).To(Succeed())
}

func (all objects) field(kind string, path ...string) any {
	GinkgoHelper()
	of := all.of(kind)
	Expect(of).To(HaveLen(1))
	value, _, err := unstructured.NestedFieldNoCopy(of[0].Object, path...)
	Expect(err).NotTo(HaveOccurred())
	return value
}

func (all objects) deployment() *appsv1.Deployment {
	GinkgoHelper()
	d := &appsv1.Deployment{}
	all.decode("Deployment", d)
	return d
}

func (all objects) account() *v1alpha1.Account {
	GinkgoHelper()
	a := &v1alpha1.Account{}
	all.decode("Account", a)
	return a
}

// pod returns the pod that the Deployment's controller would create.
func (all objects) pod() *corev1.Pod {
	GinkgoHelper()
	d := all.deployment()
	Expect(d.Spec.Selector.MatchLabels).NotTo(BeEmpty())
	for key, value := range d.Spec.Selector.MatchLabels {
		Expect(d.Spec.Template.Labels).To(HaveKeyWithValue(key, value))
	}
	pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.Name, pod.Namespace = "manager", d.Namespace
	return pod
}

// writers returns the users that the admission policy allows to write statuses.
func (all objects) writers() string {
	GinkgoHelper()
	return all.variable("writers")
}

// variable returns the expression of a variable of the admission policies, or "".
func (all objects) variable(name string) string {
	GinkgoHelper()
	for _, o := range all.of("ValidatingAdmissionPolicy") {
		policy := &admissionv1.ValidatingAdmissionPolicy{}
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, policy)).To(Succeed())
		for _, v := range policy.Spec.Variables {
			if v.Name == name {
				return v.Expression
			}
		}
	}
	return ""
}

// lease returns the name of the only lease that the manager may get and update.
func (all objects) lease() string {
	GinkgoHelper()
	var names []string
	for _, o := range all.of("Role") {
		role := &rbacv1.Role{}
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role)).To(Succeed())
		for _, rule := range role.Rules {
			if slices.Contains(rule.Resources, "leases") && !slices.Equal(rule.Verbs, []string{"create"}) {
				Expect(rule.ResourceNames).NotTo(BeEmpty())
				names = append(names, rule.ResourceNames...)
			}
		}
	}
	Expect(names).To(HaveLen(1))
	return names[0]
}

// rolesOnSecrets returns the kinds and namespaces of the roles with a right on Secrets, and
// checks that all of them are bound to the manager's ServiceAccount.
func (all objects) rolesOnSecrets() []string {
	GinkgoHelper()
	bound := map[string]bool{}
	for _, o := range all {
		if o.GetKind() == "RoleBinding" || o.GetKind() == "ClusterRoleBinding" {
			b := &rbacv1.RoleBinding{}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, b)).To(Succeed())
			Expect(b.Subjects).To(Equal([]rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "ops", Name: all.pod().Spec.ServiceAccountName}}))
			bound[b.RoleRef.Kind+"/"+b.Namespace+"/"+b.RoleRef.Name] = true
		}
	}
	var places []string
	for _, o := range all {
		if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
			continue
		}
		role := &rbacv1.Role{}
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role)).To(Succeed())
		if slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "secrets") }) {
			place := role.Kind + "/" + role.Namespace
			Expect(bound).To(HaveKey(place + "/" + role.Name))
			places = append(places, place)
		}
	}
	return places
}
