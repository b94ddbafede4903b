// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Monitoring", Ordered, func() {
	It("shows resources by state and reason", func() {
		Eventually(seriesOf("subaccount_operator_accounts", "account", "state", "reason")).Should(ConsistOf(
			"default Ready Ready 1", "narrow Ready Ready 1",
			"doubted Reconciling InventoryImplausible 1", "limited Reconciling RateLimited 1",
			"refused Reconciling CredentialsRejected 1", "keyless Reconciling CredentialsNotFound 1",
		))
		Eventually(seriesOf(`subaccount_operator_subaccounts{account!="narrow"}`, "account", "state", "reason")).Should(ConsistOf(
			"default Ready Ready 7", "default Suspended Suspended 1", "default Terminating Suspended 1",
			"default Stalled Rejected 1", "default Stalled StatusLost 1",
			"doubted Reconciling InventoryImplausible 10",
			"limited Reconciling CreationUnconfirmed 1",
			" Reconciling AccountNotFound 2", // without the Account's name, which a tenant can choose freely
		))
		Eventually(seriesOf(`subaccount_operator_remote_subaccounts{account="default"}`, "account", "managed")).Should(ConsistOf("default true 9", "default false 1"))
		Eventually(seriesOf(`subaccount_operator_creations_unconfirmed{account!="narrow"}`, "account")).Should(ConsistOf(
			"default 0", "doubted 0", "keyless 0", "limited 1", "refused 0"))
	})

	It("has data for every query and variable of the dashboard", func() {
		d := readDashboard()
		for _, v := range d.Templating.List {
			if v.Type == "datasource" {
				continue
			}
			m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition)
			Expect(m).NotTo(BeNil(), v.Definition)
			values, err := get[[]string]("label/"+m[2]+"/values", url.Values{"match[]": {withVariables(m[1])}})
			Expect(err).NotTo(HaveOccurred())
			Expect(values).NotTo(BeEmpty(), v.Name)
		}
		for _, p := range d.Panels {
			Expect(p.Type == "row" || len(p.Targets) > 0).To(BeTrue(), p.Title)
			for _, t := range p.Targets {
				samples, err := runQuery(withVariables(t.Expr))
				Expect(err).NotTo(HaveOccurred(), p.Title)
				Expect(hasData(samples)).To(BeTrue(), "%s: %s", p.Title, t.Expr)
			}
		}
	})

	It("has data for every metric in the alert rules, which Prometheus evaluates", func() {
		type health struct{ Name, Health, LastError string }
		loaded, err := get[struct{ Groups []struct{ Rules []health } }]("rules", nil)
		Expect(err).NotTo(HaveOccurred())
		rules := readRules()
		Expect(loaded.Groups).To(HaveLen(1))
		Expect(loaded.Groups[0].Rules).To(HaveLen(len(rules)))
		for _, h := range loaded.Groups[0].Rules {
			Expect(h.Health).To(Equal("ok"), "%s: %s", h.Name, h.LastError)
		}
		selector := regexp.MustCompile(`subaccount_operator_\w+(?:\{[^}]*\})?`)
		for _, r := range rules {
			_, err := runQuery(r.Expr)
			Expect(err).NotTo(HaveOccurred(), r.Alert)
			selectors := selector.FindAllString(r.Expr, -1)
			Expect(selectors).NotTo(BeEmpty(), r.Alert)
			for _, s := range selectors {
				samples, err := runQuery(s)
				Expect(err).NotTo(HaveOccurred(), r.Alert)
				Expect(hasData(samples)).To(BeTrue(), "%s: %s", r.Alert, s)
			}
		}
	})

	It("documents every own metric in docs/monitoring.md and passes promtool", func() {
		served := parseMetrics(scrape())
		promtool := tool("promtool")
		out, err := run(served.text, promtool, "check", "metrics")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(BeEmpty())

		page, err := os.ReadFile(filepath.Join(root, "docs", "monitoring.md"))
		Expect(err).NotTo(HaveOccurred())
		var documented []string
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "| `subaccount_operator_") {
				documented = append(documented, strings.TrimSpace(line))
			}
		}
		Expect(documented).To(Equal(served.rows()), "the table should read:\n%s", strings.Join(served.rows(), "\n"))
	})

	It("has runbooks whose commands succeed", func() {
		pages, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "*.md"))
		Expect(err).NotTo(HaveOccurred())
		changes := regexp.MustCompile(`^kubectl (-n \S+ )?(annotate|create|delete|label|patch) `)
		ran := map[string]bool{} // commands; several pages share some
		for _, page := range pages {
			text, err := os.ReadFile(page)
			Expect(err).NotTo(HaveOccurred())
			for line := range strings.Lines(string(text)) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				if !ok || strings.Contains(command, " logs ") { // logs need a kubelet
					continue
				}
				if changes.MatchString(command) {
					command += " --dry-run=server"
				}
				if ran[command] {
					continue
				}
				ran[command] = true
				cmd := exec.Command("bash", "-euc", command)
				cmd.Env = append(plane.KubectlEnv(), "PATH="+filepath.Dir(plane.Kubectl)+":"+os.Getenv("PATH"),
					"ACCOUNT=default", "NAMESPACE="+tenant, "NAME=default-4", "PLIVO_AUTH_ID="+accounts[0].main(), "PLIVO_AUTH_TOKEN="+token)
				out, err := cmd.CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), "%s: %s\n%s", filepath.Base(page), command, out)
			}
		}
		Expect(ran).NotTo(BeEmpty())
	})

	It("exposes no tenant's name and no token", func() {
		text := scrape()
		Expect(text).To(ContainSubstring("subaccount_operator_subaccounts"))
		for _, secret := range []string{tenant, "nowhere", "default-0", "a name", "Somebody", token, "another-token"} {
			Expect(text).NotTo(ContainSubstring(secret))
		}
	})

	It("draws the dashboard if DASHBOARD_PICTURE is set", func() {
		if path := os.Getenv("DASHBOARD_PICTURE"); path != "" {
			endFaults()
			Expect(os.WriteFile(path, draw(readDashboard(), startedAt, time.Now()), 0o644)).To(Succeed())
		}
	})

	It("removes the series of a deleted Account", func() {
		Expect(scrape()).To(ContainSubstring(`account="refused"`))
		kubectl("", "delete", "account", "refused")
		Eventually(scrape).ShouldNot(ContainSubstring(`account="refused"`))
		Expect(scrape()).To(ContainSubstring(`account="default"`))
	})
})

// seriesOf returns the series of a metric, each as the values of the given labels and the
// series' value.
func seriesOf(selector string, labels ...string) func() ([]string, error) {
	return func() (all []string, err error) {
		samples, err := runQuery(selector)
		for _, s := range samples {
			line := ""
			for _, label := range labels {
				line += s.Metric[label] + " "
			}
			all = append(all, line+fmt.Sprint(s.Value.value))
		}
		return all, err
	}
}
