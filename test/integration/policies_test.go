package integration

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// webhook stands for the policies of other people's clusters. It is asked about
// the operator's requests in one namespace.
type webhook struct {
	asked   atomic.Int32
	inForce atomic.Bool
	config  client.Object
}

// judge returns a JSON patch, or why the request is refused.
type judge func(r *admissionv1.AdmissionRequest) (patch, refusal string)

func (w *world) webhook(resource string, judge judge) *webhook {
	GinkgoHelper()
	h := &webhook{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			panic(err)
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		h.inForce.Store(true)
		if review.Request.UserInfo.Username == serviceAccountUser {
			patch, refusal := judge(review.Request)
			if patch != "" {
				review.Response.Patch, review.Response.PatchType = []byte(patch), ptr.To(admissionv1.PatchTypeJSONPatch)
			}
			if refusal != "" {
				review.Response.Allowed, review.Response.Result = false, &metav1.Status{Message: refusal}
			}
			if patch+refusal != "" {
				h.asked.Add(1)
			}
		}
		review.Request = nil
		_ = json.NewEncoder(rw).Encode(review)
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
				Operations: []admissionregistrationv1.OperationType{"CREATE"}, // the probe below
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}
	Expect(k8s.Create(ctx, h.config)).To(Succeed())
	DeferCleanup(func() { _ = k8s.Delete(ctx, h.config) })
	Eventually(func() bool { // the API server takes a moment to ask a new webhook
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "probe"}}
		Expect(k8s.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		return h.inForce.Load()
	}).Should(BeTrue())
	return h
}

func (h *webhook) remove() {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, h.config)).To(Succeed())
}

var _ = Describe("A policy of the cluster", func() {
	It("that adds a key, a label and an annotation to the Secret is tolerated, and costs no call to Plivo", func() {
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
		Expect(secret.ResourceVersion).To(Equal(version), "nothing is written again")
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

	It("that replaces the token is reported, and the operator stops to write and to call", func() {
		w := newWorld()
		policy := w.webhook("secrets", func(*admissionv1.AdmissionRequest) (string, string) {
			return `[{"op":"replace","path":"/data/auth_token","value":"eA=="}]`, ""
		})
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/Updating"))
		Expect(readyMessage(s.Status.Conditions)).To(ContainSubstring("changes the Secret a-plivo whenever the operator writes it"))
		writes, calls := policy.asked.Load(), w.callsBesideLists()
		Expect(writes).To(BeNumerically("<=", 3))
		w.sweep(2)
		Expect(policy.asked.Load()).To(Equal(writes))
		Expect(w.callsBesideLists()).To(Equal(calls))
		policy.remove()
		edit(s, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		expectReady(s)
		w.expectExact(s)
	})

	It("that refuses the Secret is reported in its words, without the token", func() {
		w := newWorld()
		policy := w.webhook("secrets", func(r *admissionv1.AdmissionRequest) (string, string) {
			secret := &corev1.Secret{}
			if err := json.Unmarshal(r.Object.Raw, secret); err != nil {
				panic(err)
			}
			return "", fmt.Sprintf("Secrets need a cost center: %s, that is %s", r.Object.Raw, secret.Data["auth_token"])
		})
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("write the Secret a-plivo"), ContainSubstring("Secrets need a cost center")))
		policy.remove()
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("that refuses to add or to remove the finalizer is reported in its words", func() {
		w := newWorld()
		refuse := func(*admissionv1.AdmissionRequest) (string, string) {
			return "", "finalizers are not allowed here"
		}
		policy := w.webhook("subaccounts", refuse)
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("add its finalizer"), ContainSubstring("finalizers are not allowed here")))
		Expect(w.calls(plivosim.OpCreate)).To(BeZero())
		policy.remove()
		expectReady(s)

		policy = w.webhook("subaccounts", refuse)
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(reason(s)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(s.Status.Conditions)).To(And(ContainSubstring("remove its finalizer"), ContainSubstring("finalizers are not allowed here")))
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
		policy.remove()
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
	})

	It("that refuses the finalizer of an Account is reported in its words", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(reason(a)).Should(Equal("True/Ready"))
		policy := w.webhook("accounts", func(r *admissionv1.AdmissionRequest) (string, string) {
			if r.Name != w.name {
				return "", ""
			}
			return "", "finalizers are not allowed here"
		})
		edit(a, func(a *v1alpha1.Account) { a.Finalizers = nil })
		Eventually(reason(a)).Should(Equal("False/KubernetesError"))
		Expect(readyMessage(a.Status.Conditions)).To(ContainSubstring("finalizers are not allowed here"))
		s := w.apply("a")
		expectReady(s) // the Account works all the same
		policy.remove()
		Eventually(reason(a)).Should(Equal("True/Ready"))
		Expect(a.Finalizers).To(ContainElement(v1alpha1.Finalizer))
	})

	It("that refuses the status is logged once, not at each retry", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		policy := w.webhook("subaccounts/status", func(*admissionv1.AdmissionRequest) (string, string) {
			return "", "the status of " + w.name + " is frozen"
		})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Enabled = ptr.To(false) })
		Eventually(policy.asked.Load).Should(BeNumerically(">=", 3))
		lines := 0
		for line := range strings.Lines(logs.String()) {
			if strings.Contains(line, "the status of "+w.name+" is frozen") {
				lines++
			}
		}
		Expect(lines).To(Equal(1))
		policy.remove()
		expectReady(s)
	})
})

var _ = Describe("A copy of a Secret", func() {
	It("with the operator's label and owner, under another name, is left alone", func() {
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
		Eventually(gone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: original.Name}})).Should(BeTrue())
	})
})

var _ = Describe("A namespace that was removed by force", func() {
	It("leaves Subaccounts that are drained", func() {
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
		Eventually(gone(namespace)).Should(BeTrue())
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		sim.ClearFaults()
		Eventually(func() int { return len(w.names()) }, "60s").Should(BeZero(), "the subaccount is deleted at Plivo")
		Eventually(gone(s)).Should(BeTrue())
	})
})
