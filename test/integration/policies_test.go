// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// webhook simulates the admission policies of a cluster. It reviews the operator's
// requests in one namespace.
type webhook struct {
	interventions atomic.Int32 // requests that it changed or denied
	called        atomic.Bool
	config        client.Object
	probe         func() // sends a request that the webhook reviews
}

// review returns a JSON patch, or the reason for a denial, or neither.
type review func(r *admissionv1.AdmissionRequest) (patch, denial string)

func (w *world) webhook(resource string, review review) *webhook {
	GinkgoHelper()
	h := &webhook{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var admission admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&admission); err != nil {
			panic(err)
		}
		admission.Response = &admissionv1.AdmissionResponse{UID: admission.Request.UID, Allowed: true}
		h.called.Store(true)
		if admission.Request.UserInfo.Username == serviceAccountUser {
			patch, denial := review(admission.Request)
			if patch != "" {
				admission.Response.Patch, admission.Response.PatchType = []byte(patch), ptr.To(admissionv1.PatchTypeJSONPatch)
			}
			if denial != "" {
				admission.Response.Allowed, admission.Response.Result = false, &metav1.Status{Message: denial}
			}
			if patch+denial != "" {
				h.interventions.Add(1)
			}
		}
		admission.Request = nil
		_ = json.NewEncoder(rw).Encode(admission)
	}))
	DeferCleanup(server.Close)
	group, version := "", "v1"
	if resource != "secrets" {
		group, version = v1alpha1.Group, "v1alpha1"
	}
	h.config = &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "policy.example.com", SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      ptr.To(server.URL),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.name}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE"},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
			}, {
				Operations: []admissionregistrationv1.OperationType{"CREATE"}, // for h.probe
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}
	Expect(k8s.Create(ctx, h.config)).To(Succeed())
	DeferCleanup(func() { _ = k8s.Delete(ctx, h.config) })
	h.probe = func() {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "probe"}}
		Expect(k8s.Create(ctx, probe, client.DryRunAll)).To(Succeed())
	}
	Eventually(h.isActive).Should(BeTrue())
	return h
}

// isActive returns whether the API server calls the webhook. It starts and stops to do
// so a moment after the configuration has changed.
func (h *webhook) isActive() bool {
	h.called.Store(false)
	h.probe()
	return h.called.Load()
}

func (h *webhook) remove() {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, h.config)).To(Succeed())
	Eventually(h.isActive).Should(BeFalse())
}

var _ = Describe("An admission webhook", func() {
	It("that adds a key, label and annotation to the Secret is tolerated", func() {
		w := newWorld()
		w.webhook("secrets", func(r *admissionv1.AdmissionRequest) (string, string) {
			if r.Operation == admissionv1.Update {
				return "", ""
			}
			return `[{"op":"add","path":"/data/extra","value":"eA=="},{"op":"add","path":"/metadata/labels/team","value":"x"},
				{"op":"add","path":"/metadata/annotations","value":{"policy":"y"}}]`, ""
		})
		s := w.apply("a")
		expectReady(s)
		version := w.secret(s).ResourceVersion
		w.sweep(2)
		expectReady(s)
		secret := w.secret(s)
		Expect(secret.ResourceVersion).To(Equal(version), "the operator must not write the Secret again")
		Expect(secret.Data).To(HaveKey("extra"))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())

		edit(s, func(s *v1alpha1.Subaccount) {
			s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "PLIVO_AUTH_ID", AuthToken: "PLIVO_AUTH_TOKEN"}
		})
		expectReady(s)
		secret = w.secret(s)
		Expect(secret.Data).To(And(HaveLen(3), HaveKey("extra"), HaveKey("PLIVO_AUTH_ID"), HaveKey("PLIVO_AUTH_TOKEN")))
		Expect(secret.Labels).To(HaveKeyWithValue("team", "x"))
		Expect(secret.Annotations).To(HaveKeyWithValue("policy", "y"))
	})

	It("that replaces the token is reported, and the operator stops writing", func() {
		w := newWorld()
		policy := w.webhook("secrets", func(*admissionv1.AdmissionRequest) (string, string) {
			return `[{"op":"replace","path":"/data/auth_token","value":"eA=="}]`, ""
		})
		s := w.apply("a")
		// Updating is also the reason during the creation, so wait for the message too.
		Eventually(func() string { return readyState(s)() + ": " + readyMessage(s.Status.Conditions) }).
			Should(And(HavePrefix("False/Updating: "), ContainSubstring("changes the Secret a-plivo after every write of the operator")))
		writes, calls := policy.interventions.Load(), w.callsExceptLists()
		Expect(writes).To(BeNumerically("<=", 3))
		w.sweep(2)
		Expect(policy.interventions.Load()).To(Equal(writes))
		Expect(w.callsExceptLists()).To(Equal(calls))
		policy.remove()
		edit(s, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		expectReady(s)
		w.expectExact(s)
	})

	It("that denies the Secret is reported with its message, without the token", func() {
		w := newWorld()
		policy := w.webhook("secrets", func(r *admissionv1.AdmissionRequest) (string, string) {
			secret := &corev1.Secret{}
			if err := json.Unmarshal(r.Object.Raw, secret); err != nil {
				panic(err)
			}
			return "", fmt.Sprintf("Secrets need a cost center: %s, that is %s", r.Object.Raw, secret.Data["auth_token"])
		})
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("write the Secret a-plivo"), ContainSubstring("Secrets need a cost center")))
		policy.remove()
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("that denies adding or removing the finalizer is reported with its message", func() {
		w := newWorld()
		deny := func(*admissionv1.AdmissionRequest) (string, string) {
			return "", "finalizers are not allowed here"
		}
		policy := w.webhook("subaccounts", deny)
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("add its finalizer"), ContainSubstring("finalizers are not allowed here")))
		Expect(w.calls(plivosim.OpCreate)).To(BeZero())
		policy.remove()
		expectReady(s)

		policy = w.webhook("subaccounts", deny)
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(readyState(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("remove its finalizer"), ContainSubstring("finalizers are not allowed here")))
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
		policy.remove()
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
	})

	It("that denies an Account's finalizer is reported with its message", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		policy := w.webhook("accounts", func(r *admissionv1.AdmissionRequest) (string, string) {
			if r.Name != w.name {
				return "", ""
			}
			return "", "finalizers are not allowed here"
		})
		edit(a, func(a *v1alpha1.Account) { a.Finalizers = nil })
		Eventually(readyState(a)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(a.Status.Conditions)).To(ContainSubstring("finalizers are not allowed here"))
		s := w.apply("a")
		expectReady(s) // the Account serves Subaccounts without its finalizer too
		policy.remove()
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		Expect(a.Finalizers).To(ContainElement(v1alpha1.Finalizer))
	})

	It("that denies the status is logged once, not on every retry", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		policy := w.webhook("subaccounts/status", func(*admissionv1.AdmissionRequest) (string, string) {
			return "", "the status of " + w.name + " is frozen"
		})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Enabled = ptr.To(false) })
		Eventually(policy.interventions.Load).Should(BeNumerically(">=", 3))
		denials := func() int {
			return strings.Count(logs.String(), "the status of "+w.name+" is frozen")
		}
		Eventually(denials).ShouldNot(BeZero()) // the log reaches this process through a pipe
		Expect(denials()).To(Equal(1))
		policy.remove()
		expectReady(s)
	})
})

var _ = Describe("A copy of a Secret", func() {
	It("with the operator's label and owner but another name is kept", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		original := w.secret(s)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.name, Name: "copy", Labels: original.Labels, Annotations: original.Annotations, OwnerReferences: original.OwnerReferences,
		}, Data: original.Data}
		Expect(k8s.Create(ctx, secret)).To(Succeed())
		w.sweep(2)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "renamed" })
		expectReady(s)
		Expect(w.secret(s).Name).To(Equal("renamed"))
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
		Eventually(isGone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: original.Name}})).Should(BeTrue())
	})
})

var _ = Describe("A namespace that is removed by force", func() {
	It("leaves Subaccounts that the operator deletes at Plivo and finalizes", func() {
		installAdoptionPolicy()
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpDelete}, Account: w.main, Status: 503})
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Delete(ctx, namespace)).To(Succeed())
		Eventually(func() int { return w.calls(plivosim.OpDelete) }).Should(BeNumerically(">=", 1))
		Eventually(func() error {
			if err := k8s.Get(ctx, types.NamespacedName{Name: w.name}, namespace); err != nil {
				return client.IgnoreNotFound(err)
			}
			namespace.Spec.Finalizers = nil
			return k8s.SubResource("finalize").Update(ctx, namespace)
		}).Should(Succeed())
		Eventually(isGone(namespace)).Should(BeTrue())
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		sim.ClearFaults()
		Eventually(func() int { return len(w.names()) }).Should(BeZero(), "the subaccount is deleted at Plivo")
		if refusesUpdatesWithoutNamespace() {
			Expect(k8s.Update(ctx, s)).To(MatchError(apierrors.IsNotFound, "the administrator's update, too"))
			w.namespace(w.name)
		}
		Eventually(isGone(s)).Should(BeTrue())
	})
})

// refusesUpdatesWithoutNamespace returns whether the API server refuses all updates in a
// namespace that does not exist, as its admission plugin NamespaceLifecycle did before 1.37.
func refusesUpdatesWithoutNamespace() bool {
	GinkgoHelper()
	version, err := discovery.NewDiscoveryClientForConfigOrDie(plane.Config).ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	minor, err := strconv.Atoi(version.Minor)
	Expect(err).NotTo(HaveOccurred())
	return minor < 37
}
