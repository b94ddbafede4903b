// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

func TestList_MixedSubaccounts_ShowsManagers(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "list")
	all := w.add("Managed", "Adoption pending\x1b[31m", "Unmanaged", foreignMarker)
	claims := []*v1alpha1.Subaccount{}
	for _, name := range []string{"one", "two"} {
		claims = append(claims, w.apply(name, func(s *v1alpha1.Subaccount) {
			s.Status.AuthID = all[0].AuthID
			s.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRejected, LastTransitionTime: metav1.Now(),
			}}
		}))
	}
	slices.SortFunc(claims, func(a, b *v1alpha1.Subaccount) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	w.apply("adopting", func(s *v1alpha1.Subaccount) {
		s.Spec.AuthID, s.Spec.DeletionPolicy = &all[1].AuthID, v1alpha1.DeletionPolicyOrphan
	})
	creating := w.apply("creating", func(s *v1alpha1.Subaccount) {
		s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "a", AccountID: w.main, Since: metav1.Now()}
	})
	marked := sim.Add(w.main, plan.Marker("cafecafe", creating.UID), false)
	g.Expect(sim.Edit(w.main, all[2].AuthID, func(s *plivosim.Subaccount) { s.Created, s.Modified = "2020-01-02", "2021-03-04" })).To(BeTrue())
	sim.ResetCalls()

	rows := columns(w.mustRun("list"))
	g.Expect(rows).To(HaveLen(6))
	g.Expect(rows[0]).To(Equal([]string{"AUTH ID", "NAME", "ENABLED", "CREATED", "MODIFIED", "MANAGED BY"}))
	g.Expect(rows[1]).To(Equal([]string{all[1].AuthID, `Adoption pending\x1b[31m`, "false", all[1].Created, "<none>", "<none>"}))
	g.Expect(rows[2]).To(Equal([]string{all[0].AuthID, "Managed", "true", all[0].Created, "<none>", "list/" + claims[0].Name}))
	g.Expect(rows[3]).To(Equal([]string{all[2].AuthID, "Unmanaged", "true", "2020-01-02", "2021-03-04", "<none>"}))
	g.Expect(rows[4][5]).To(Equal("<none>"))
	g.Expect(rows[5]).To(ContainElements(marked.AuthID, "list/creating"))
	g.Expect(w.listOffsets()).To(Equal([]int{0}))
	g.Expect(agents.latest()).To(Equal("kubectl-plivo/" + process.Version))

	wide := columns(w.mustRun("list", "-o", "wide"))
	g.Expect(wide[0][6:]).To(Equal([]string{"READY", "REASON"}))
	g.Expect(wide[2][6:]).To(Equal([]string{"False", "Rejected"}))
	g.Expect(w.mustRun("list", "--unmanaged", "--no-headers")).NotTo(ContainSubstring("AUTH ID"))
	g.Expect(strings.Fields(w.mustRun("list", "--unmanaged", "-o", "name"))).To(Equal([]string{all[1].AuthID, all[2].AuthID, all[3].AuthID}))

	var asJSON, asYAML plugin.RemoteList
	g.Expect(json.Unmarshal([]byte(w.mustRun("list", "-o", "json")), &asJSON)).To(Succeed())
	g.Expect(yaml.Unmarshal([]byte(w.mustRun("list", "-o", "yaml")), &asYAML)).To(Succeed())
	g.Expect(asJSON).To(Equal(asYAML))
	g.Expect(asJSON.Items).To(HaveLen(5))
	g.Expect(asJSON.Items[1]).To(Equal(plugin.Remote{
		AuthID: all[0].AuthID, Name: "Managed", Enabled: true, Created: all[0].Created,
		ManagedBy: &plugin.Manager{Namespace: "list", Name: claims[0].Name, Ready: "False", Reason: "Rejected"},
	}))
	g.Expect(asJSON.Items[0].Name).To(Equal("Adoption pending\x1b[31m"))
	g.Expect(asJSON.Items[3].Unfinished).To(BeTrue())
	g.Expect(w.writes()).To(BeZero())
}

// columns splits a table. At least three spaces separate columns, and cells contain only
// single spaces.
func columns(table string) (rows [][]string) {
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		var cells []string
		for _, cell := range strings.Split(line, "   ") {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		rows = append(rows, cells)
	}
	return rows
}

func TestList_NoSubaccounts_SaysSo(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "empty")
	got := w.plivo("list")
	g.Expect(got).To(haveFailed(0, "No subaccounts found."))
	g.Expect(w.plivo("export", "-n", w.name)).To(haveFailed(0, "No unmanaged subaccounts to export."))
	g.Expect(w.mustRun("list", "-o", "json")).To(MatchJSON(
		`{"apiVersion": "plivo.subaccount-operator.dev/v1alpha1", "kind": "RemoteSubaccountList", "items": []}`))
}

func TestOutput_AllVerbosities_ContainsNoToken(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "tokens")
	tokens := []string{w.token}
	for _, s := range w.add("a", "b") {
		tokens = append(tokens, s.AuthToken)
	}
	w.apply("a", func(*v1alpha1.Subaccount) {})
	shown := ""
	for _, command := range []string{
		"list", "list -o wide", "list -o json", "list -o yaml", "export -n tokens", "reconcile a -n tokens -o yaml", "suspend a -n tokens -o json",
	} {
		for _, level := range []string{"-v=0", "-v=7", "-v=8", "--v=99"} {
			got := w.plivo(append(strings.Fields(command), level)...)
			g.Expect(got.Code).To(BeZero(), got.Err)
			shown += got.Out + got.Err
		}
	}
	sim.Inject(plivosim.Fault{Account: w.main, Status: 400, Body: plivosim.BodyReflect})
	got := w.plivo("list", "-v=9")
	g.Expect(got.Code).To(Equal(1))
	shown += got.Out + got.Err
	g.Expect(shown).To(And(ContainSubstring("/api/v1/namespaces/subaccount-operator-system/secrets/tokens"), ContainSubstring("HTTP 400")))
	for _, token := range tokens {
		for _, form := range []string{token, base64.StdEncoding.EncodeToString([]byte(token)), base64.StdEncoding.EncodeToString([]byte(w.main + ":" + token))} {
			g.Expect(strings.Contains(shown, form)).To(BeFalse(), "the output contains a token")
		}
	}
}

func TestList_ChangesWhileRead_IsReadAgain(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "changing")
	w.add(numbered(41)...)
	sim.Inject(plivosim.Fault{Account: w.main, Shift: 1, Times: 2}) // rows of the pages two and three
	sim.ResetCalls()
	got := w.plivo("list", "--no-headers")
	g.Expect(got.Err).To(Equal("The list of subaccounts changed while it was read.\n"))
	g.Expect(columns(got.Out)).To(HaveLen(41))
	g.Expect(w.listOffsets()).To(Equal([]int{0, 20, 40, 0, 20, 40}))
}

func TestList_KeepsChanging_Fails(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "unsteady")
	w.add(numbered(41)...)
	sim.Inject(plivosim.Fault{Account: w.main, Shift: 1})
	sim.ResetCalls()
	g.Expect(w.plivo("list")).To(haveFailed(1, "error: the list of subaccounts changed each time it was read"))
	g.Expect(w.plivo("export", "-n", w.name)).To(haveFailed(1, "error: the list of subaccounts changed each time it was read"))
	g.Expect(w.listOffsets()).To(HaveLen(2 * 3 * 3))
}

func TestList_RateLimited_Waits(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "limited")
	w.add(numbered(21)...)
	sim.Inject(plivosim.Fault{Account: w.main, Status: 429, RetryAfter: 1, Skip: 1, Times: 1})
	sim.ResetCalls()
	got := w.plivo("list", "-o", "name")
	g.Expect(got.Err).To(Equal("Plivo's rate limit is reached; retrying in 1s.\n"))
	g.Expect(strings.Fields(got.Out)).To(HaveLen(21))
	g.Expect(w.listOffsets()).To(Equal([]int{0, 20, 20}))

	sim.Inject(plivosim.Fault{Account: w.main, Status: 429, RetryAfter: 3600})
	g.Expect(w.plivo("list")).To(haveFailed(1, "error: the main account's rate limit at Plivo is reached: try again in 1h0m0s"))
}

func TestList_PageFails_IsRetried(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "failing")
	w.add(numbered(21)...)
	sim.Inject(plivosim.Fault{Account: w.main, Status: 503, Skip: 1, Times: 2})
	sim.ResetCalls()
	got := w.plivo("list", "-o", "name")
	g.Expect(got.Err).To(And(MatchRegexp(`^plivo: list: HTTP 503.*; retrying in 1s.\n`), HaveSuffix("; retrying in 2s.\n")))
	g.Expect(strings.Fields(got.Out)).To(HaveLen(21))
	g.Expect(w.listOffsets()).To(Equal([]int{0, 20, 20, 20}))

	sim.Inject(plivosim.Fault{Account: w.main, Status: 503, Times: 4})
	g.Expect(w.plivo("list")).To(haveFailed(1, "error: plivo: list: HTTP 503"))
}

func TestList_ManySubaccountsOnTerminal_ShowsProgress(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "long")
	w.add(numbered(250)...)
	got := w.plivo("export", "-n", w.name)
	g.Expect(got.Err).To(BeEmpty(), "stderr is no terminal")
	g.Expect(strings.Count(got.Out, "\n---\n")).To(Equal(250))

	if script, err := exec.LookPath("script"); err != nil || runtime.GOOS != "linux" {
		t.Skipf("script of util-linux gives a terminal, got %q, %v", script, err)
	}
	shown := w.run("script", "-qec", "kubectl plivo list -o name --account "+w.name+" --plivo-base-url "+simURL+" >/dev/null", "/dev/null")
	g.Expect(shown.Code).To(BeZero(), shown.Out)
	g.Expect(strings.Count(shown.Out, "\rRead ")).To(Equal(13), "one update for each page of 20")
	g.Expect(shown.Out).To(And(ContainSubstring("\rRead 20 of 250 subaccounts. "), MatchRegexp(`\rRead 250 of 250 subaccounts\. *\r *\r$`)))
	g.Expect(shown.Out).NotTo(ContainSubstring("\n"), "the updates share one line")
}

func TestListWatch_SubaccountsChange_PrintsThoseOnly(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "watched")
	all := w.add("Edited", "Same", "Deleted")
	logs := &process.Log{}
	kubectl := filepath.Join(path, "kubectl-plivo")
	p, err := process.Start(logs, w.env, kubectl, "list", "-o", "name", "--watch", "--watch-interval=5s", "--account", w.name, "--plivo-base-url", simURL)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = p.Stop(os.Kill) })
	lines := func() []string { return strings.Split(strings.TrimSpace(logs.String()), "\n") }
	g.Eventually(lines).WithTimeout(time.Minute).Should(Equal([]string{all[2].AuthID, all[0].AuthID, all[1].AuthID}))

	g.Expect(sim.Edit(w.main, all[0].AuthID, func(s *plivosim.Subaccount) { s.Enabled = !s.Enabled })).To(BeTrue())
	sim.Remove(w.main, all[2].AuthID)
	added := w.add("Z")[0]
	g.Eventually(lines).WithTimeout(time.Minute).Should(ConsistOf(
		all[2].AuthID, all[0].AuthID, all[1].AuthID, all[0].AuthID, added.AuthID, all[2].AuthID+" is no longer in the list.",
	))

	g.Expect(w.plivo("list", "--watch", "--watch-interval=1s")).To(haveFailed(1, "--watch-interval is 1s, want at least 5s"))
}

func TestList_CredentialsInEnvironment_AreUsed(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "environment")
	w.add("a")
	given := []string{"PLIVO_AUTH_ID=" + w.main, "PLIVO_AUTH_TOKEN=" + w.token}
	as := func(env []string, args ...string) result {
		other := &world{t: t, name: "no-such-account", env: append(env, w.env...)}
		return other.plivo(args...)
	}
	g.Expect(as(given[:1], "list")).To(haveFailed(1, `Error from server (NotFound): accounts.plivo.subaccount-operator.dev "no-such-account" not found`))
	got := as(given, "list", "-o", "name")
	g.Expect(got.Out).NotTo(BeEmpty())
	g.Expect(got.Err).To(Equal("Warning: the Account no-such-account does not exist yet; reading the main account of PLIVO_AUTH_ID\n"))
	own := append(slices.Clone(w.env), given...)
	g.Expect((&world{t: t, name: w.name, env: own}).plivo("list").Err).To(BeEmpty())

	a := w.account()
	a.Status.AuthID = "MAANOTHERANOTHER0000"
	g.Expect(k8s.Status().Update(t.Context(), a)).To(Succeed())
	w.env = append(w.env, given...)
	g.Expect(w.plivo("list")).To(haveFailed(1, "error: PLIVO_AUTH_ID is the main account "+w.main+", but the Account environment uses MAANOTHERANOTHER0000"))
}

func TestList_RejectedCredentialsOrURL_Fails(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "refused")
	sim.SetToken(w.main, "another")
	g.Expect(w.plivo("list")).To(haveFailed(1, "error: the credentials of the Secret subaccount-operator-system/refused are refused: plivo: list: HTTP 401"))
	g.Expect(w.plivo("list", "--plivo-base-url", "http://example.com")).To(haveFailed(1, "error: --plivo-base-url: plain http is for loopback addresses only"))
}
