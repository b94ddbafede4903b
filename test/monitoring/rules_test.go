// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const runbooksURL = "https://github.com/subaccount-operator/subaccount-operator/blob/main/docs/runbooks/"

// rule is an alert.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// ruleGroups returns the groups of the PrometheusRule in the format of Prometheus.
func ruleGroups(root string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(root, "config", "prometheus", "rules.yaml"))
	if err != nil {
		return nil, err
	}
	var object struct{ Spec map[string]any }
	if err := yaml.Unmarshal(data, &object); err != nil {
		return nil, err
	}
	return yaml.Marshal(object.Spec)
}

func readRules() []rule {
	data, err := ruleGroups(root)
	Expect(err).NotTo(HaveOccurred())
	var spec struct{ Groups []struct{ Rules []rule } }
	Expect(yaml.Unmarshal(data, &spec)).To(Succeed())
	var all []rule
	for _, group := range spec.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// setUpWithoutSuite sets up a test that needs no control plane.
func setUpWithoutSuite(t *testing.T) {
	RegisterTestingT(t)
	var err error
	root, err = controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
}

func TestAlerts_AllRules_FireAndStayInactive(t *testing.T) {
	setUpWithoutSuite(t)
	dir := t.TempDir()
	groups, err := ruleGroups(root)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(dir, "rules.yaml"), groups, 0o600)).To(Succeed())
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(dir, "alerts.yaml"), cases, 0o600)).To(Succeed())
	// The same tests with series that have the label cluster, as in a Prometheus for many clusters.
	ofCluster := strings.ReplaceAll(string(cases), `namespace="ns"`, `cluster="east",namespace="ns"`)
	Expect(os.WriteFile(filepath.Join(dir, "cluster.yaml"), []byte(ofCluster), 0o600)).To(Succeed())
	promtool := tool("promtool")
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "rules.yaml")},
		{"test", "rules", filepath.Join(dir, "alerts.yaml")},
		{"test", "rules", filepath.Join(dir, "cluster.yaml")},
	} {
		out, err := run("", promtool, args...)
		Expect(err).NotTo(HaveOccurred(), out)
	}

	var file struct {
		Tests []struct {
			Queries []struct {
				Expr    string
				Samples []any `json:"exp_samples"`
			} `json:"promql_expr_test"`
		}
	}
	Expect(yaml.Unmarshal(cases, &file)).To(Succeed())
	fires, inactive := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, query := range test.Queries {
			if name := regexp.MustCompile(`alertname="(\w+)",alertstate="firing"`).FindStringSubmatch(query.Expr); name == nil {
				continue
			} else if len(query.Samples) > 0 {
				fires[name[1]] = true
			} else {
				inactive[name[1]] = true
			}
		}
	}
	for _, r := range readRules() {
		Expect(fires).To(HaveKey(r.Alert), "testdata/alerts.yaml must contain a test in which the alert fires")
		Expect(inactive).To(HaveKey(r.Alert), "testdata/alerts.yaml must contain a test in which the alert does not fire")
		Expect(r.Labels["severity"]).To(BeElementOf("critical", "warning"), r.Alert)
		Expect(r.For).NotTo(BeEmpty(), r.Alert)
		Expect(slices.Sorted(maps.Keys(r.Annotations))).To(Equal([]string{"description", "runbook_url", "summary"}), r.Alert)
	}
}

func TestRunbooks_AllAlertsAndReasons_ArePresent(t *testing.T) {
	setUpWithoutSuite(t)
	pages := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "*.md"))
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		if name == "README" {
			continue
		}
		pages[name] = true
		Expect(string(data)).To(HavePrefix("# "+name+"\n"), file)
		for _, section := range []string{"What it means", "What to look at", "What to do", "What not to do"} {
			Expect(string(data)).To(ContainSubstring("\n## "+section+"\n"), file)
		}
	}
	index, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", "README.md"))
	Expect(err).NotTo(HaveOccurred())
	for name := range pages {
		Expect(string(index)).To(ContainSubstring("\n| ["+name+"]("+name+".md) | "), "the index")
	}
	wanted := map[string]bool{}
	for _, r := range readRules() {
		wanted[r.Alert] = true
		Expect(r.Annotations["runbook_url"]).To(Equal(runbooksURL + r.Alert + ".md"))
		Expect(pages).To(HaveKey(r.Alert), "each alert needs a runbook")
	}
	for _, reason := range v1alpha1.Reasons() {
		wanted[reason] = true
		if !pages[reason] {
			Expect(string(index)).To(ContainSubstring("\n| `"+reason+"` | "), "each reason needs a runbook or a row in the index")
		}
	}
	for name := range pages {
		Expect(wanted).To(HaveKey(name), "each runbook must belong to an alert or a reason")
	}
}

func TestRules_StalledReasons_AreSelected(t *testing.T) {
	setUpWithoutSuite(t)
	ownAlert := []string{v1alpha1.ReasonStatusLost, v1alpha1.ReasonDuplicateAccount, v1alpha1.ReasonInvalidSpec}
	rules := readRules()
	i := slices.IndexFunc(rules, func(r rule) bool { return r.Alert == "SubaccountOperatorSubaccountsStalled" })
	for _, reason := range v1alpha1.Reasons() {
		if states, _ := v1alpha1.StatesOf(reason); states.Stalled == metav1.ConditionTrue && !slices.Contains(ownAlert, reason) {
			Expect(rules[i].Expr).To(ContainSubstring(reason))
		}
	}
}
