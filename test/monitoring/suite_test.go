// SPDX-License-Identifier: Apache-2.0

// Package monitoring checks the dashboard, the alert rules and the documentation of the
// metrics against a running operator. A real Prometheus scrapes the manager as the
// ServiceMonitor configures it, while Subaccounts on the simulated Plivo reach most states.
// The tests then run every query of the dashboard and of the alert rules.
package monitoring

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	operatorNamespace = "subaccount-operator-system"
	job               = "subaccount-operator-metrics" // the ServiceMonitor uses the Service's name
)

var (
	ctx        = context.Background()
	root       string
	plane      *controlplane.Plane
	sim        *process.Plivo
	manager    string // address of its metrics endpoint
	reader     string // a token that may read the metrics
	prometheus string // URL of its API
	startedAt  time.Time
)

func TestMonitoring(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	RunSpecs(t, "Monitoring")
}

var _ = BeforeSuite(func() {
	var err error
	root, err = controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	program := tool("prometheus")
	dir := GinkgoT().TempDir()

	plane, err = controlplane.Start(controlplane.Options{CRDs: []string{}}) // config/default contains them
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	kubectl("", "apply", "--server-side", "-k", filepath.Join(root, "config", "default"))
	kubectl("", "wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
	startPlivo(dir)
	startManager(dir)
	startPrometheus(program, dir)
	startedAt = time.Now()
	createStates()
})

func tool(name string) string {
	GinkgoHelper()
	path, err := controlplane.Tool(name)
	Expect(err).NotTo(HaveOccurred())
	return path
}

// run runs a program and returns its output.
func run(stdin, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func kubectl(stdin string, args ...string) string {
	GinkgoHelper()
	out, err := plane.RunKubectl(ctx, stdin, args...)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(out)
}

func freeAddress() string {
	GinkgoHelper()
	port, err := controlplane.FreePort()
	Expect(err).NotTo(HaveOccurred())
	return net.JoinHostPort("127.0.0.1", port)
}

func startPlivo(dir string) {
	GinkgoHelper()
	program, err := process.Program("plivo-sim", dir)
	Expect(err).NotTo(HaveOccurred())
	var args []string
	for _, a := range accounts {
		args = append(args, "--account", a.main()+":"+token)
	}
	sim, err = process.StartPlivo(program, append(args, "--latency", "20ms")...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(sim.Stop(syscall.SIGTERM)).To(Succeed()) })
}

// startManager starts the manager as config/manager does: as its ServiceAccount, with
// leader election, and with metrics over HTTPS.
func startManager(dir string) {
	GinkgoHelper()
	program, err := process.Program("manager", dir)
	Expect(err).NotTo(HaveOccurred())
	kubeconfig, err := plane.ServiceAccount(ctx, operatorNamespace, "subaccount-operator-manager")
	Expect(err).NotTo(HaveOccurred())
	manager = freeAddress()
	p, err := process.Start(GinkgoWriter, []string{"KUBECONFIG=" + kubeconfig}, program, "--leader-elect",
		"--metrics-bind-address", manager, "--health-probe-bind-address", "0",
		"--plivo-base-url", sim.URL, "--plivo-timeout", "2s", "--operator-namespace", operatorNamespace)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(p.Stop(syscall.SIGTERM)).To(Succeed()) })

	kubectl("", "create", "serviceaccount", "-n", operatorNamespace, "prometheus")
	kubectl("", "create", "clusterrolebinding", "prometheus", "--clusterrole=subaccount-operator-metrics-reader",
		"--serviceaccount="+operatorNamespace+":prometheus")
	reader, err = plane.Token(ctx, operatorNamespace, "prometheus")
	Expect(err).NotTo(HaveOccurred())
}

// startPrometheus starts Prometheus with the alert rules and with the labels that the
// ServiceMonitor sets.
func startPrometheus(program, dir string) {
	GinkgoHelper()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
		return path
	}
	groups, err := ruleGroups(root)
	Expect(err).NotTo(HaveOccurred())
	write("rules.yaml", string(groups))
	config := write("prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
- job_name: %s
  scheme: https
  authorization: {credentials_file: %s}
  tls_config: {insecure_skip_verify: true}
  static_configs:
  - targets: [%q]
    labels: {namespace: %s, pod: manager-0, container: manager, service: %[1]s}
`, job, write("token", reader), manager, operatorNamespace))
	address := freeAddress()
	prometheus = "http://" + address + "/api/v1/"
	p, err := process.Start(GinkgoWriter, nil, program, "--config.file", config, "--web.listen-address", address,
		"--storage.tsdb.path", filepath.Join(dir, "tsdb"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(p.Stop(syscall.SIGTERM)).To(Succeed()) })
}

// scrape returns the manager's metrics.
func scrape() string {
	GinkgoHelper()
	httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+manager+"/metrics", http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	req.Header.Set("Authorization", "Bearer "+reader)
	resp, err := httpClient.Do(req)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = resp.Body.Close() }()
	body := &bytes.Buffer{}
	_, err = io.Copy(body, resp.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(resp.StatusCode).To(Equal(http.StatusOK), body.String())
	return body.String()
}
