// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const kind = "subaccount.plivo.subaccount-operator.dev/"

func (w *world) suspended() (names []string) {
	for _, s := range w.subaccounts() {
		if ptr.Deref(s.Spec.Suspend, false) {
			names = append(names, s.Name)
		}
	}
	return names
}

func plain(*v1alpha1.Subaccount) {}

func TestSuspendResume_NamesAndSelectors_ChangeSpec(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "suspend")
	for _, name := range []string{"a", "b", "c"} {
		w.apply(name, func(s *v1alpha1.Subaccount) {
			s.Labels = map[string]string{"first": map[bool]string{true: "yes", false: "no"}[name == "a"]}
		})
	}
	g.Expect(w.mustRun("suspend", "a", "b", "-n", w.name)).To(Equal(kind + "a suspended\n" + kind + "b suspended\n"))
	g.Expect(w.suspended()).To(Equal([]string{"a", "b"}))
	g.Expect(w.mustRun("resume", kind+"a", "plivosub/b", "-n", w.name, "-o", "name")).To(Equal(kind + "a\n" + kind + "b\n"))
	g.Expect(w.suspended()).To(BeEmpty())

	for _, s := range w.subaccounts() {
		g.Expect(s.Spec.Suspend).To(BeNil(), "resume must remove the field, so that no field manager owns it")
	}
	w.mustRun("suspend", "--all", "-n", w.name)
	g.Expect(w.suspended()).To(Equal([]string{"a", "b", "c"}))
	w.mustRun("resume", "-l", "first=yes", "-A")
	g.Expect(w.suspended()).To(Equal([]string{"b", "c"}))
	g.Expect(w.mustRun("suspend", "c", "-n", w.name, "-o", "jsonpath={.kind} {.spec.suspend}")).To(Equal("Subaccount true"))
}

func TestReconcile_Subaccount_AnnotatesIt(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "reconcile")
	s := w.apply("a", plain)
	at := func() string {
		g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(s), s)).To(Succeed())
		return s.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	}
	g.Expect(w.mustRun("reconcile", "a", "-n", w.name)).To(Equal(kind + "a reconcile requested\n"))
	first := at()
	g.Expect(first).NotTo(BeEmpty())
	w.mustRun("reconcile", "--all", "-n", w.name)
	g.Expect(at()).NotTo(Equal(first))

	// The wait fails, because no manager runs in this test.
	got := w.plivo("reconcile", "a", "-n", w.name, "--wait", "--timeout=1s")
	g.Expect(got.Code).To(Equal(1))
	g.Expect(got.Err).To(Equal("error: timed out waiting for the condition on subaccounts/a\n"))
	w.mustRun("suspend", "a", "-n", w.name)
	got = w.plivo("reconcile", "a", "-n", w.name, "--wait")
	g.Expect(got.Code).To(BeZero())
	g.Expect(got.Err).To(Equal("Warning: subaccount a is suspended: the operator reads nothing until it is resumed\n"))
}

func TestReconcile_Account_AnnotatesIt(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "reconcile-account")
	w.apply("a", plain)
	a := &v1alpha1.Account{}
	at := func(name string) string {
		g.Expect(k8s.Get(t.Context(), client.ObjectKey{Name: name}, a)).To(Succeed())
		return a.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	}
	const accountKind = "account.plivo.subaccount-operator.dev/"
	g.Expect(w.mustRun("reconcile", "account/"+w.name, "a", "-n", w.name)).To(Equal(
		accountKind + w.name + " reconcile requested\n" + kind + "a reconcile requested\n"))
	first := at(w.name)
	g.Expect(first).NotTo(BeEmpty())
	w.mustRun("reconcile", "plivoacct/"+w.name)
	g.Expect(at(w.name)).NotTo(Equal(first))

	// The wait fails, because no manager runs in this test.
	got := w.plivo("reconcile", accountKind+w.name, "--wait", "--timeout=1s")
	g.Expect(got.Code).To(Equal(1))
	g.Expect(got.Err).To(Equal("error: timed out waiting for the condition on accounts/" + w.name + "\n"))
	g.Expect(w.plivo("reconcile", "account/nope")).To(haveFailed(1, `Error from server (NotFound): accounts.plivo.subaccount-operator.dev "nope" not found`))
}

func TestErrors_InvalidCommands_MatchKubectl(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "errors")
	w.apply("a", plain)
	const notFound = `Error from server (NotFound): subaccounts.plivo.subaccount-operator.dev "`
	g.Expect(w.plivo("suspend", "nope", "-n", w.name)).To(haveFailed(1, notFound+`nope" not found`))
	g.Expect(w.run("kubectl", "annotate", "plivosub", "nope", "x=y", "-n", w.name)).To(haveFailed(1, notFound+`nope" not found`), "the same error as of kubectl")
	got := w.plivo("suspend", "one", "a", "two", "-n", w.name)
	g.Expect(got).To(Equal(result{Out: kind + "a suspended\n", Err: notFound + "one\" not found\n" + notFound + "two\" not found\n", Code: 1}))
	g.Expect(w.plivo("resume", "--all", "-n", "nowhere")).To(haveFailed(0, "No resources found in nowhere namespace."))

	for message, args := range map[string]string{
		"error: no Subaccounts selected: name them, or use --selector or --all\nSee 'kubectl plivo suspend -h'":            "suspend",
		"error: name cannot be provided when a selector is specified":                                                      "suspend a --all",
		"error: setting 'all' parameter but found a non empty selector":                                                    "suspend -l a=b --all",
		"error: a resource cannot be retrieved by name across all namespaces":                                              "suspend a -A",
		`error: accounts cannot be suspended`:                                                                              "suspend account/errors",
		`error: unknown resource type "pod": name Subaccounts or Accounts`:                                                 "reconcile pod/errors",
		`error: unable to match a printer suitable for the output format "x", allowed formats are: json,name,wide,yaml`:    "list -o x",
		"error: unknown flag: --x\nSee 'kubectl plivo list -h' for help and examples":                                      "list --x",
		`error: unknown command "x" for "kubectl plivo"`:                                                                   "x",
		`Error from server (NotFound): accounts.plivo.subaccount-operator.dev "x" not found`:                               "list --account x",
		`Error from server (NotFound): secrets "errors" not found`:                                                         "list --operator-namespace x",
		`The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?`:                   "list --server https://127.0.0.1:1",
		`error: context "x" does not exist`:                                                                                "list --context x",
		`is forbidden: User "nobody" cannot get resource "accounts"`:                                                       "list --as nobody",
		`Error from server (Forbidden): subaccounts.plivo.subaccount-operator.dev "a" is forbidden: User "nobody" cannot `: "suspend a --as nobody",
	} {
		g.Expect(w.plivo(strings.Fields(args)...)).To(haveFailed(1, message), args)
	}
	g.Expect(w.mustRun("version")).To(Equal("kubectl-plivo " + process.Version + "\n"))
}
