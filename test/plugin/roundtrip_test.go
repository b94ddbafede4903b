// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// odd are unusual names that Plivo's console accepts.
var odd = []string{
	"", " leading", "trailing ", "a\ttab", "two\nlines", "# a: comment\n---\nkind: Account", "\x1b[31mred", "bell\a", "c1 \u009b31m", "no\u00a0break", "line\u2028separator",
	"same", "same", "Team A", "team-a", "TEAM_A", "Zürich", "日本語", "🚀", "\u202etxt.exe", "\ufeffbom", "zero\u200bwidth",
	"yes", "null", "012", "1e3", "~", "- x", "a: b", "'single'", `"double" \ back`, "$(rm -rf /)", "{{x}}", "---", "%41",
	strings.Repeat("x", 63) + "1", strings.Repeat("x", 63) + "2", strings.Repeat("y", 128), strings.Repeat("z", 129), strings.Repeat("é", 128),
	"k8s-team", "k8s-0123abcd-0123ABCD-0000-0000-0000-000000000000",
}

const foreignMarker = "k8s-0123abcd-01234567-89ab-cdef-0123-456789abcdef"

func TestExport_FortyOddNames_AllAreAdopted(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "roundtrip")
	g.Expect(len(odd)).To(BeNumerically(">=", 40))
	before := w.add(append(slices.Clone(odd), foreignMarker)...)
	w.add(strings.ToLower(before[0].AuthID)) // the same name that export gives to the subaccount without a name
	earlier := v1alpha1.AdoptionGrant{Namespace: w.name, AuthIDs: []string{"SAGRANTEDBYSOMEBODY0"}}
	w.edit(func(a *v1alpha1.Account) { a.Spec.Adoption = []v1alpha1.AdoptionGrant{earlier} })
	state := sim.Subaccounts(w.main)

	manager, err := process.Start(&process.Log{}, []string{"KUBECONFIG=" + plane.Kubeconfig}, binary,
		"--plivo-base-url", simURL, "--operator-namespace", operatorNamespace, "--health-probe-bind-address", "0",
		"--namespaces", w.name, "--account-selector", "served="+w.name)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = manager.Stop(syscall.SIGTERM) })

	exported := w.mustRun("export", "-n", w.name)
	g.Expect(exported).NotTo(ContainSubstring(w.token))
	g.Expect(exported).To(ContainSubstring("# " + before[len(odd)].AuthID + " is omitted: an unfinished creation"))
	file := filepath.Join(t.TempDir(), "export.yaml")
	g.Expect(os.WriteFile(file, []byte(exported), 0o600)).To(Succeed())
	var commands []string
	for _, line := range strings.Split(exported, "\n") {
		if command, ok := strings.CutPrefix(line, "#   "); ok {
			commands = append(commands, command)
		}
	}
	documented := strings.ReplaceAll(block(g, "#grant"), "team-a", w.name)
	g.Expect(strings.Split(strings.TrimSpace(documented), "\n")).To(Equal(commands))
	runCommand := func(command string) {
		got := w.run("sh", "-ec", strings.ReplaceAll(command, "export.yaml", file))
		g.Expect(got.Code).To(BeZero(), command+": "+got.Err)
	}
	g.Expect(commands).To(HaveLen(4), "grant, apply, wait, withdraw")
	for _, command := range commands[:3] {
		runCommand(command)
	}

	all := w.subaccounts()
	g.Expect(all).To(HaveLen(len(odd) + 1))
	for i := range all {
		expectAdopted(g, w, &all[i])
	}
	g.Expect(sim.Subaccounts(w.main)).To(Equal(state))

	runCommand(commands[3])
	g.Expect(w.account().Spec.Adoption).To(Equal([]v1alpha1.AdoptionGrant{earlier}))
	w.mustRun("reconcile", "--all", "-n", w.name, "--wait")
	for _, s := range w.subaccounts() {
		g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), s.Name)
	}
	g.Expect(sim.Subaccounts(w.main)).To(Equal(state))
	g.Expect(w.writes()).To(BeZero())

	again := w.plivo("export", "-n", w.name)
	g.Expect(again.Out).To(BeEmpty())
	g.Expect(again.Err).To(ContainSubstring("No unmanaged subaccounts to export."))
	g.Expect(w.mustRun("list", "--unmanaged", "-o", "name")).To(Equal(before[len(odd)].AuthID + "\n"))
}

// expectAdopted compares a Subaccount with its adopted subaccount.
func expectAdopted(g Gomega, w *world, s *v1alpha1.Subaccount) {
	remote, ok := sim.Subaccount(w.main, s.Status.AuthID)
	g.Expect(ok).To(BeTrue(), s.Name)
	g.Expect(s.Spec.AuthID).To(HaveValue(Equal(remote.AuthID)))
	g.Expect(s.Spec.DeletionPolicy).To(Equal(v1alpha1.DeletionPolicyOrphan))
	g.Expect(s.Spec.AccountRef.Name).To(Equal(w.name))
	g.Expect(s.Spec.Enabled).To(HaveValue(Equal(remote.Enabled)))
	g.Expect(len(s.Name)).To(BeNumerically("<=", 63))
	if plugin.Refusal(remote.Name) == "" {
		g.Expect(s.Spec.Name).To(HaveValue(Equal(remote.Name)))
	} else {
		g.Expect(s.Spec.Name).To(BeNil())
	}
	g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), s.Name)
}

// plugin.Refusal must reject exactly the names that the API server rejects.
func TestRefusal_OddNames_MatchesAPIServer(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "names")
	for _, name := range append(odd, "\u3000ideographic", "tail\u2003", "\ve", "e\x85", "\x7f", strings.Repeat("🚀", 129)) {
		s := &v1alpha1.Subaccount{Spec: v1alpha1.SubaccountSpec{Name: ptr.To(name)}}
		s.Namespace, s.Name = w.name, "a"
		err := k8s.Create(t.Context(), s, client.DryRunAll)
		refused := plugin.Refusal(name) != ""
		g.Expect(refused).To(Equal(apierrors.IsInvalid(err)), "%q: %v", name, err)
	}
}

func (w *world) account() *v1alpha1.Account {
	w.t.Helper()
	a := &v1alpha1.Account{}
	NewWithT(w.t).Expect(k8s.Get(w.t.Context(), types.NamespacedName{Name: w.name}, a)).To(Succeed())
	return a
}

func (w *world) edit(change func(*v1alpha1.Account)) {
	w.t.Helper()
	a := w.account()
	change(a)
	NewWithT(w.t).Expect(k8s.Update(w.t.Context(), a)).To(Succeed())
}

func (w *world) subaccounts() []v1alpha1.Subaccount {
	w.t.Helper()
	var all v1alpha1.SubaccountList
	NewWithT(w.t).Expect(k8s.List(w.t.Context(), &all, client.InNamespace(w.name))).To(Succeed())
	return all.Items
}
