// SPDX-License-Identifier: Apache-2.0

// Package integration runs the manager's binary between a real control plane and
// the simulated Plivo. The control plane consists of kube-apiserver, etcd and
// kube-controller-manager. Each spec has its own main account, Account and namespace.
//
// Ginkgo runs the specs in parallel processes. Each process has its own control
// plane, simulator and manager, because specs install policies for the whole
// cluster, kill the manager and inject faults (docs/decisions/010-test-processes.md).
package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	operatorNamespace  = "subaccount-operator-system"
	serviceAccountName = "subaccount-operator-manager"
	serviceAccountUser = "system:serviceaccount:" + operatorNamespace + ":" + serviceAccountName
)

// The settle time is plivoTimeout + settleMargin. Both are short, because specs wait for it.
const (
	plivoTimeout = 2 * time.Second
	settleMargin = 2 * time.Second
)

var (
	ctx    = context.Background()
	plane  *controlplane.Plane
	sim    *plivosim.Server
	simURL string
	k8s    client.Client
	binary string
	op     *manager

	kubeconfig   string // of the shipped ServiceAccount, with the shipped Roles
	rightsFolder string

	// asOperator impersonates the operator, the only user that may write statuses.
	asOperator client.Client
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr)                   // envtest and the clients warn if no logger is set
	SetDefaultEventuallyTimeout(3 * time.Minute) // longer than any condition takes on a busy machine
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	SetDefaultConsistentlyDuration(3 * time.Second)
	RunSpecs(t, "Integration")
}

// sharedSetup is what the first process prepares for all processes.
type sharedSetup struct {
	Manager string // path of the manager's binary
	Rights  string // folder to which each process writes the rights that its manager used
}

var _ = SynchronizedBeforeSuite(func() []byte {
	dir := GinkgoT().TempDir()
	program, err := process.Program("manager", dir)
	Expect(err).NotTo(HaveOccurred())
	data, err := json.Marshal(sharedSetup{Manager: program, Rights: dir})
	Expect(err).NotTo(HaveOccurred())
	return data
}, func(data []byte) {
	var shared sharedSetup
	Expect(json.Unmarshal(data, &shared)).To(Succeed())
	binary, rightsFolder = shared.Manager, shared.Rights

	var err error
	plane, err = controlplane.Start(controlplane.Options{
		CRDs:              []string{}, // config/default contains them
		ControllerManager: true, Controllers: []string{"clusterrole-aggregation-controller", "resourcequota-controller"},
		AuditUser: serviceAccountUser,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	install("config/default")
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err = client.New(plane.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	config := rest.CopyConfig(plane.Config)
	config.Impersonate.UserName = serviceAccountUser
	asOperator, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	sim = plivosim.New(plivosim.Options{RateLimit: 300, Latency: 5 * time.Millisecond})
	server := httptest.NewServer(sim)
	DeferCleanup(server.CloseClientConnections)
	simURL = server.URL

	kubeconfig, err = plane.ServiceAccount(ctx, operatorNamespace, serviceAccountName)
	Expect(err).NotTo(HaveOccurred())
	// The API server enforces new admission policies after a moment; specs rely on them.
	Eventually(func() error {
		s := (&world{name: metav1.NamespaceDefault}).newSubaccount("probe")
		s.Spec.Secret.Annotations = map[string]string{"config.syncer/sync": "true"}
		return k8s.Create(ctx, s, client.DryRunAll)
	}).Should(beForbidden())
	op = startManager()
})

// kubectl runs kubectl as the administrator.
func kubectl(stdin string, args ...string) (string, error) {
	return plane.RunKubectl(ctx, stdin, args...)
}

// install applies a folder of manifests with the commands of the README.
func install(folder string) {
	GinkgoHelper()
	runKustomize(folder, "apply", "--server-side")
	_, err := kubectl("", "wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
	Expect(err).NotTo(HaveOccurred())
}

func uninstall(folder string) {
	GinkgoHelper()
	runKustomize(folder, "delete")
}

// runKustomize runs a kubectl command on a folder of manifests.
func runKustomize(folder string, command ...string) {
	GinkgoHelper()
	root, err := controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	_, err = kubectl("", append(command, "-k", filepath.Join(root, folder))...)
	Expect(err).NotTo(HaveOccurred())
}

// After all specs, no log, event or status may contain a token, and the manager
// must have used every right that its Roles grant.
var _ = SynchronizedAfterSuite(func() {
	stopWatching()
	if op == nil {
		return
	}
	// In a process without specs the manager may not run yet. It must install its signal handler before SIGTERM.
	Eventually(logs.String).Should(ContainSubstring("Starting the manager"))
	Expect(op.stop(syscall.SIGTERM)).To(Succeed())
	shown := logs.String()
	var events corev1.EventList
	Expect(k8s.List(ctx, &events)).To(Succeed())
	for _, e := range events.Items {
		shown += e.Message
	}
	var all v1alpha1.SubaccountList
	Expect(k8s.List(ctx, &all)).To(Succeed())
	var accounts v1alpha1.AccountList
	Expect(k8s.List(ctx, &accounts)).To(Succeed())
	resources, err := json.Marshal([]any{all.Items, accounts.Items})
	Expect(err).NotTo(HaveOccurred())
	shown += string(resources)
	Expect(strings.Contains(shown, "Request Body")).To(BeFalse(), "client-go logs request bodies, including those of Secrets")
	writeRightsUsed()
	for _, token := range append(sim.Tokens(), tokens...) {
		for _, form := range []string{token, base64.StdEncoding.EncodeToString([]byte(token))} {
			Expect(strings.Contains(shown, form)).To(BeFalse(), "a log, event or status contains a token")
		}
	}
}, func() {
	if suite, _ := GinkgoConfiguration(); op != nil && len(suite.FocusStrings) == 0 {
		expectRightsUsed()
	}
})

// watching ends with the last spec, because a watch that is retried would outlive the API server.
var watching, stopWatching = context.WithCancel(context.Background())

var (
	logs   = &process.Log{} // of every manager of this process
	tokens []string         // of ServiceAccounts; the simulator knows Plivo's tokens
)

// manager is a running manager.
type manager struct {
	*process.Process
	metrics string // URL of its metrics; empty if the spec chose the endpoint
}

var managers []*manager // all that were started

func startManager(args ...string) *manager {
	m := &manager{}
	defaults := []string{
		"--plivo-base-url", simURL, "--plivo-timeout", plivoTimeout.String(), "--plivo-settle-margin", settleMargin.String(),
		"--operator-namespace", operatorNamespace, "--health-probe-bind-address", "0",
		"--zap-log-level", "12", // the highest verbosity, which must not show tokens either
	}
	if !slices.Contains(args, "--metrics-bind-address") {
		address := freeAddress()
		m.metrics = "http://" + address + "/metrics"
		defaults = append(defaults, "--metrics-secure=false", "--metrics-bind-address", address)
	}
	var err error
	m.Process, err = process.Start(logs, []string{"KUBECONFIG=" + kubeconfig}, binary, append(defaults, args...)...)
	Expect(err).NotTo(HaveOccurred())
	managers = append(managers, m)
	return m
}

// freeAddress returns a local address whose port was free a moment ago.
func freeAddress() string {
	port, err := controlplane.FreePort()
	Expect(err).NotTo(HaveOccurred())
	return net.JoinHostPort("127.0.0.1", port)
}

var busy = regexp.MustCompile(`(?m)^(workqueue_depth|controller_runtime_active_workers)\{.*\} [1-9].*$`)

// checkIdle returns an error while a running manager has a resource in a queue or
// in a worker.
func checkIdle() error {
	for _, m := range managers {
		select {
		case <-m.Exited():
			continue
		default:
		}
		if m.metrics == "" {
			continue
		}
		resp, err := http.Get(m.metrics)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if work := busy.Find(text); work != nil {
			return fmt.Errorf("the manager is not idle: %s", work)
		}
	}
	return nil
}

// stop sends a signal to the manager and returns its exit error.
func (m *manager) stop(signal os.Signal) error { return m.Stop(signal) }

// killAndRestart does what a failed node causes: SIGKILL, then a new process.
func killAndRestart() {
	_ = op.stop(syscall.SIGKILL)
	op = startManager()
}
