// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

func applyAs(manager, manifest string) error {
	_, err := kubectl(manifest, "apply", "--server-side", "--field-manager", manager, "-f", "-")
	return err
}

// expectInSync checks that applying a manifest again would change nothing. Argo CD uses
// the same comparison.
func expectInSync(manifest string, args ...string) {
	GinkgoHelper()
	compare := filepath.Join(GinkgoT().TempDir(), "diff") // the machine may have no diff program
	Expect(os.WriteFile(compare, []byte("#!/bin/sh\nexec git diff --no-index \"$@\"\n"), 0o700)).To(Succeed())
	GinkgoT().Setenv("KUBECTL_EXTERNAL_DIFF", compare)
	out, err := kubectl(manifest, append([]string{"diff", "-f", "-"}, args...)...)
	Expect(out).To(BeEmpty())
	Expect(err).NotTo(HaveOccurred())
}

// ownedFields returns the fields that each field manager owns, two levels deep. Its keys
// have the form manager or manager/subresource.
func ownedFields(obj client.Object) map[string][]string {
	GinkgoHelper()
	all := map[string][]string{}
	for _, entry := range obj.GetManagedFields() {
		var fields map[string]map[string]json.RawMessage
		Expect(json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields)).To(Succeed())
		manager := entry.Manager
		if entry.Subresource != "" {
			manager += "/" + entry.Subresource
		}
		for outer, inner := range fields {
			for field := range inner {
				if field != "." {
					all[manager] = append(all[manager], strings.ReplaceAll(outer+"."+field, "f:", ""))
				}
			}
		}
		slices.Sort(all[manager])
	}
	return all
}

const manifestOfArgo = `
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Account
metadata:
  name: %[1]s
  annotations:
    argocd.argoproj.io/tracking-id: platform:plivo.subaccount-operator.dev/Account:/%[1]s
spec:
  credentialsSecretRef:
    name: %[1]s
  namespaceSelector: {}
  sweepInterval: 10000ms # Go would format it as 10s
---
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Subaccount
metadata:
  name: a
  namespace: %[1]s
  labels:
    app.kubernetes.io/instance: tenants
  annotations:
    argocd.argoproj.io/tracking-id: tenants:plivo.subaccount-operator.dev/Subaccount:%[1]s/a
spec:
  name: %[2]s
  enabled: true
  accountRef:
    name: %[1]s
  secret:
    keys:
      authID: PLIVO_AUTH_ID
`

// fragment returns a manifest of the Subaccount "a" with only the given fields.
func (w *world) fragment(fields string) string {
	return fmt.Sprintf(`{"apiVersion":"plivo.subaccount-operator.dev/v1alpha1","kind":"Subaccount","metadata":{"name":"a","namespace":%q%s`, w.name, fields)
}

var _ = Describe("GitOps", func() {
	It("with kubectl wait works for both kinds directly after creation", func() {
		w := newWorld()
		Expect(kubectl("", "wait", "--for=condition=Ready", "--timeout=3m", "account/"+w.name)).To(ContainSubstring("condition met"))
		w.apply("a")
		Expect(kubectl("", "wait", "-n", w.name, "--for=condition=Ready", "--timeout=3m", "subaccount/a")).To(ContainSubstring("condition met"))
		Expect(kubectl("", "patch", "-n", w.name, "subaccount/a", "--type=merge", "-p", `{"spec":{"name":"Renamed"}}`)).Error().NotTo(HaveOccurred())
		Expect(kubectl("", "wait", "-n", w.name, "--for=condition=Ready", "--timeout=3m", "subaccount/a")).To(ContainSubstring("condition met"))
		Expect(w.names()).To(Equal([]string{"Renamed"}), "kubectl must wait until the change is applied")
	})

	It("with several field managers keeps each one's fields and stays in sync", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Delete(ctx, a)).To(Succeed()) // Argo CD creates its own Account
		Eventually(isGone(a)).Should(BeTrue())
		s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a"}}
		argo := fmt.Sprintf(manifestOfArgo, w.name, "Team A")
		Expect(applyAs("argocd-controller", argo)).To(Succeed())
		expectReady(s)
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		expectInSync(argo, "--server-side", "--field-manager=argocd-controller")

		By("applying other fields by other managers")
		labels := w.fragment(`,"labels":{"cost-centre":"42"}}}`)
		alice := w.fragment(`},"spec":{"cascadePolicy":"Delete"}}`)
		Expect(applyAs("labels", labels)).To(Succeed())
		Expect(applyAs("alice", alice)).To(Succeed())
		Expect(kubectl("", "annotate", "-n", w.name, "subaccount/a", v1alpha1.ReconcileRequestedAtAnnotation+"=now")).Error().NotTo(HaveOccurred())
		Eventually(func() string { readyState(s)(); return s.Status.LastHandledReconcileAt }).Should(Equal("now"))
		expectReady(s)
		Expect(s.Generation).To(BeEquivalentTo(2), "the creation and alice's change")
		Expect(s.Spec.CascadePolicy).To(Equal(v1alpha1.CascadePolicyDelete))

		By("applying the same again, which changes nothing")
		w.sweep(2) // the second sweep ends after the status of the first is written
		versions := func() []string {
			Expect(readyState(a)()).To(Equal("True/Ready"))
			Expect(readyState(s)()).To(Equal("True/Ready"))
			return []string{a.ResourceVersion, s.ResourceVersion}
		}
		before := versions()
		for manager, manifest := range map[string]string{"argocd-controller": argo, "labels": labels, "alice": alice} {
			expectInSync(manifest, "--server-side", "--field-manager="+manager)
			Expect(applyAs(manager, manifest)).To(Succeed())
		}
		Expect(versions()).To(Equal(before))

		By("applying a field that another manager owns")
		err := applyAs("alice", w.fragment(`},"spec":{"name":"Alice's","cascadePolicy":"Delete"}}`))
		Expect(err).To(MatchError(ContainSubstring(`conflict with "argocd-controller": .spec.name`)))
		argo = fmt.Sprintf(manifestOfArgo, w.name, "Team A, renamed")
		Expect(applyAs("argocd-controller", argo)).To(Succeed())
		expectReady(s)
		w.expectExact(s)
		Expect(*s.Spec.Name).To(Equal("Team A, renamed"))
		Expect(s.Spec.CascadePolicy).To(Equal(v1alpha1.CascadePolicyDelete))
		Expect(s.Labels).To(HaveKeyWithValue("cost-centre", "42"))
		Expect(s.Generation).To(BeEquivalentTo(3))
		expectInSync(argo, "--server-side", "--field-manager=argocd-controller")

		By("comparing the owned fields")
		for obj, spec := range map[client.Object][]string{
			a: {"metadata.annotations", "spec.credentialsSecretRef", "spec.namespaceSelector", "spec.sweepInterval"},
			s: {"metadata.annotations", "metadata.labels", "spec.accountRef", "spec.enabled", "spec.name", "spec.secret"},
		} {
			owned := ownedFields(obj)
			Expect(owned).To(HaveKeyWithValue("argocd-controller", spec))
			Expect(owned).To(HaveKeyWithValue("subaccount-operator", []string{"metadata.finalizers"}))
			for manager, fields := range owned {
				if rest, isOperator := strings.CutPrefix(manager, "subaccount-operator/"); isOperator {
					Expect(rest).To(Equal("status"))
					Expect(fields).To(HaveEach(HavePrefix("status.")))
				}
			}
		}
		Expect(slices.Sorted(maps.Keys(ownedFields(s)))).To(Equal([]string{
			"alice", "argocd-controller", "kubectl-annotate", "labels", "subaccount-operator", "subaccount-operator/status"}))

		By("checking that the Secret has no tracking metadata, so that Argo CD does not prune it")
		Expect(w.secret(s).Labels).To(Equal(map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}))
		Expect(w.secret(s).Annotations).To(And(HaveLen(1), HaveKey(v1alpha1.Group+"/applied")))
	})

	It("with client-side kubectl apply stays in sync", func() {
		w := newWorld()
		manifest := w.fragment(fmt.Sprintf(`},"spec":{"name":"Team A","accountRef":{"name":%q}}}`, w.name))
		Expect(kubectl(manifest, "apply", "-f", "-")).Error().NotTo(HaveOccurred())
		s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a"}}
		expectReady(s)
		expectInSync(manifest)
		Expect(kubectl(manifest, "apply", "-f", "-")).To(ContainSubstring("unchanged"))
	})

	It("with Argo CD adds the health scripts to an existing argocd-cm", func() {
		w := newWorld()
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "argocd-cm"}, Data: map[string]string{"url": "https://argocd.example.com"}}
		Expect(k8s.Create(ctx, cm)).To(Succeed())
		runKustomize("config/argocd", "apply", "--server-side", "-n", w.name)
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(cm), cm)).To(Succeed())
		Expect(cm.Labels).To(HaveKeyWithValue("app.kubernetes.io/part-of", "argocd"))
		Expect(slices.Sorted(maps.Keys(cm.Data))).To(Equal([]string{healthKey("Account"), healthKey("Subaccount"), "url"}))
	})

	It("provisions tenants from config/samples/gitops", func() {
		w := newWorld() // the sample's Account uses its main account
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(isGone(a)).Should(BeTrue())
		credentials := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "plivo-main"},
			StringData: map[string]string{"auth_id": w.main, "auth_token": w.token},
		}
		Expect(k8s.Create(ctx, credentials)).To(Succeed())
		const folder = "config/samples/gitops/"
		layout := []string{folder + "platform", folder + "tenants/team-a", folder + "tenants/team-b"}
		for _, part := range layout {
			runKustomize(part, "apply", "--server-side")
		}
		Expect(kubectl("", "wait", "--for=condition=Ready", "--timeout=3m", "account/default")).To(ContainSubstring("condition met"))
		for _, team := range []string{"team-a", "team-b"} {
			Expect(kubectl("", "wait", "-n", team, "--for=condition=Ready", "--timeout=3m", "subaccount", "--all")).To(ContainSubstring("condition met"))
			expectProvisioned(team)
		}
		Expect(w.names()).To(Equal([]string{"Team A", "Team B"}))
		expectReferencesExist(folder)

		By("deleting the manifests, which keeps the subaccounts at Plivo")
		slices.Reverse(layout)
		for _, part := range layout {
			runKustomize(part, "delete", "--timeout=60s")
		}
		Expect(k8s.Delete(ctx, credentials)).To(Succeed())
		Expect(w.names()).To(Equal([]string{"Team A", "Team B"}), "deletionPolicy: Orphan")
	})
})

// expectProvisioned checks that a tenant's Deployment can use its Secret and passes pod
// security.
func expectProvisioned(namespace string) {
	GinkgoHelper()
	var all v1alpha1.SubaccountList
	Expect(k8s.List(ctx, &all, client.InNamespace(namespace))).To(Succeed())
	Expect(all.Items).To(HaveLen(1))
	d := &appsv1.Deployment{}
	Expect(k8s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "app"}, d)).To(Succeed())
	from := d.Spec.Template.Spec.Containers[0].EnvFrom
	Expect(from).To(HaveLen(1))
	secret := &corev1.Secret{}
	Expect(k8s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: from[0].SecretRef.Name}, secret)).To(Succeed())
	Expect(slices.Sorted(maps.Keys(secret.Data))).To(Equal([]string{"PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN"}))
	Expect(string(secret.Data["PLIVO_AUTH_ID"])).To(Equal(all.Items[0].Status.AuthID))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}, Spec: d.Spec.Template.Spec}
	Expect(k8s.Create(ctx, pod, client.DryRunAll)).To(Succeed(), "pod security admits the pod")
}

// expectReferencesExist checks that the folders and resources that the examples for Flux
// and Argo CD name exist.
func expectReferencesExist(folder string) {
	GinkgoHelper()
	root, err := controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	read := func(name string) map[string]any {
		text, err := os.ReadFile(filepath.Join(root, folder, name))
		Expect(err).NotTo(HaveOccurred())
		var obj map[string]any
		Expect(yaml.Unmarshal(text, &obj)).To(Succeed())
		return obj
	}
	flux, argo := read("flux/team-a.yaml"), read("argocd/tenants.yaml")
	fluxPath, _, _ := unstructured.NestedString(flux, "spec", "path")
	Expect(filepath.Join(root, folder, fluxPath, "kustomization.yaml")).To(BeAnExistingFile())
	generators, _, _ := unstructured.NestedSlice(argo, "spec", "generators")
	Expect(generators).To(HaveLen(1))
	directories, _, _ := unstructured.NestedSlice(generators[0].(map[string]any), "git", "directories")
	Expect(directories).To(HaveLen(2))
	for _, directory := range directories {
		found, err := filepath.Glob(filepath.Join(root, folder, directory.(map[string]any)["path"].(string), "kustomization.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(found).NotTo(BeEmpty())
	}
	checks, _, _ := unstructured.NestedSlice(flux, "spec", "healthChecks")
	Expect(checks).To(HaveLen(2))
	for _, check := range checks {
		c := check.(map[string]any)
		obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": c["apiVersion"], "kind": c["kind"]}}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: c["namespace"].(string), Name: c["name"].(string)}, obj)).To(Succeed())
	}
}
