// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// read returns a file of the repository.
func read(g Gomega, name string) string {
	root, err := controlplane.Root()
	g.Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(filepath.Join(root, name))
	g.Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// block returns the one code block of docs/kubectl-plivo.md that contains a text.
func block(g Gomega, content string) string {
	parts := strings.Split(read(g, "docs/kubectl-plivo.md"), "```")
	var found []string
	for i := 1; i < len(parts); i += 2 {
		if _, code, _ := strings.Cut(parts[i], "\n"); strings.Contains(code, content) {
			found = append(found, code)
		}
	}
	g.Expect(found).To(HaveLen(1), content)
	return found[0]
}

// complete returns kubectl's completions of a command line.
func (w *world) complete(line ...string) []string {
	w.t.Helper()
	got := w.run("kubectl", append([]string{"__complete", "plivo"}, line...)...)
	var values []string
	for _, l := range strings.Split(got.Out, "\n") {
		if value, _, _ := strings.Cut(l, "\t"); value != "" && !strings.HasPrefix(value, ":") {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return values
}

func TestCompletion_DocumentedSetup_CompletesNames(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "complete")
	for _, name := range []string{"team-a", "team-b", "other"} {
		w.apply(name, plain)
	}
	home := t.TempDir()
	bin := filepath.Join(home, ".local", "bin")
	g.Expect(os.MkdirAll(bin, 0o700)).To(Succeed())
	w.env = append(w.env, "HOME="+home, "PATH="+bin+string(os.PathListSeparator)+path+string(os.PathListSeparator)+os.Getenv("PATH"))
	g.Expect(w.run("sh", "-ec", block(g, "kubectl_complete-plivo")).Code).To(BeZero())

	g.Expect(w.complete("")).To(ContainElements("list", "export", "reconcile", "suspend", "resume", "version"))
	g.Expect(w.complete("suspend", "-n", w.name, "")).To(Equal([]string{"other", "team-a", "team-b"}))
	g.Expect(w.complete("reconcile", "-n", w.name, "team-a", "te")).To(Equal([]string{"team-b"}))
	g.Expect(w.complete("export", "-n", "comp")).To(Equal([]string{"complete"}))
	g.Expect(w.complete("list", "--account", "comp")).To(Equal([]string{"complete"}))
	g.Expect(w.complete("list", "-o", "")).To(Equal([]string{"json", "name", "wide", "yaml"}))
	g.Expect(w.complete("list", "--operator-namespace", "subacc")).To(Equal([]string{operatorNamespace}))
	got := w.run("kubectl-plivo", "completion", "bash")
	g.Expect(got.Code).To(BeZero())
	g.Expect(got.Out).To(ContainSubstring("bash completion V2 for kubectl-plivo"))
}

// The world's name is that of the Secret in the documented Role.
func TestDocumentedRights_AllCommands_Suffice(t *testing.T) {
	g, w := NewWithT(t), newWorld(t, "plivo-main")
	w.add("a")
	w.apply("a", plain)
	rights := filepath.Join(t.TempDir(), "rights.yaml")
	g.Expect(os.WriteFile(rights, []byte(block(g, "kind: ClusterRole")), 0o600)).To(Succeed())
	for _, command := range []string{
		"kubectl apply -f " + rights,
		"kubectl create clusterrolebinding plivo-plugin --clusterrole=plivo-plugin --user=anna",
		"kubectl create rolebinding plivo-plugin -n " + operatorNamespace + " --role=plivo-plugin --user=anna",
	} {
		got := w.run("sh", "-ec", command)
		g.Expect(got.Code).To(BeZero(), got.Err)
	}
	as := []string{"--as", "anna", "-n", w.name}
	// The API server applies a new binding after a moment.
	g.Eventually(func() int { return w.plivo(append([]string{"suspend", "a"}, as...)...).Code }, "30s").Should(BeZero())
	for _, command := range []string{"list", "export", "resume --all", "reconcile a", "status a"} {
		g.Eventually(func() result { return w.plivo(append(strings.Fields(command), as...)...) }, "30s").Should(HaveField("Code", 0), command)
	}
	g.Expect(w.plivo(append([]string{"check"}, as...)...).Out).NotTo(ContainSubstring("needs the right"))
}
