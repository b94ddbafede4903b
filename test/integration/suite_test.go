// Package integration drives the manager's real binary as its users do: a real
// kube-apiserver, etcd and kube-controller-manager on one side, the simulated
// Plivo over HTTP on the other. Each spec has a main account, an Account and a
// namespace of its own.
//
// The specs run in parallel processes of Ginkgo. Each process has a control
// plane, a simulator and a manager of its own: specs install policies for the
// whole cluster, kill the manager and inject faults, and no two of them meet
// (docs/decisions/009-test-processes.md).
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
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	operatorNamespace  = "subaccount-operator-system"
	serviceAccountName = "subaccount-operator-manager"
	serviceAccountUser = "system:serviceaccount:" + operatorNamespace + ":" + serviceAccountName
)

// The manager's time limit of a call to Plivo and its settle margin. The sum is
// the settle time, which specs wait for.
const (
	plivoTimeout = 2 * time.Second
	settleMargin = 2 * time.Second
	settleTime   = plivoTimeout + settleMargin
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

	// forger can what only the operator may: an administrator who impersonates it.
	forger client.Client
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr) // envtest's and the clients', which warn of a logger that is missing
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	SetDefaultConsistentlyDuration(3 * time.Second)
	RunSpecs(t, "Integration")
}

// forAll is what the first process prepares for all of them.
type forAll struct {
	Manager string // path of the manager's binary
	Rights  string // folder in which each process writes the rights that its manager used
}

var _ = SynchronizedBeforeSuite(func() []byte {
	dir := GinkgoT().TempDir()
	program, err := process.Program("manager", dir)
	Expect(err).NotTo(HaveOccurred())
	data, err := json.Marshal(forAll{Manager: program, Rights: dir})
	Expect(err).NotTo(HaveOccurred())
	return data
}, func(data []byte) {
	var shared forAll
	Expect(json.Unmarshal(data, &shared)).To(Succeed())
	binary, rightsFolder = shared.Manager, shared.Rights

	var err error
	plane, err = controlplane.Start(controlplane.Options{
		CRDs:              []string{}, // config/default has them
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
	forger, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	sim = plivosim.New(plivosim.Options{RateLimit: 300, Latency: 5 * time.Millisecond})
	server := httptest.NewServer(sim)
	DeferCleanup(server.CloseClientConnections)
	simURL = server.URL

	kubeconfig, err = plane.ServiceAccount(ctx, operatorNamespace, serviceAccountName)
	Expect(err).NotTo(HaveOccurred())
	op = startManager()
})

// install applies a folder of manifests, as the README says.
func install(folder string) {
	GinkgoHelper()
	manifests(folder, "apply", "--server-side")
	_, err := plane.RunKubectl(ctx, "", "wait", "--for=condition=Established", "crd", "--all")
	Expect(err).NotTo(HaveOccurred())
}

func uninstall(folder string) {
	GinkgoHelper()
	manifests(folder, "delete")
}

func manifests(folder string, do ...string) {
	GinkgoHelper()
	root, err := controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	_, err = plane.RunKubectl(ctx, "", append(do, "-k", filepath.Join(root, folder))...)
	Expect(err).NotTo(HaveOccurred())
}

// Whatever the specs have done: no token of the run stands where people read,
// and the manager has no right that it did not use.
var _ = SynchronizedAfterSuite(func() {
	stopWatching()
	if op == nil {
		return
	}
	Eventually(logs.String).Should(ContainSubstring("starting"), "a process without a spec ends at once")
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
	told, err := json.Marshal([]any{all.Items, accounts.Items})
	Expect(err).NotTo(HaveOccurred())
	shown += string(told)
	Expect(strings.Contains(shown, "Request Body")).To(BeFalse(), "client-go logs bodies, Secrets among them, some of them in hex")
	writeRightsUsed()
	for _, token := range append(sim.Tokens(), tokens...) {
		for _, form := range []string{token, base64.StdEncoding.EncodeToString([]byte(token))} {
			Expect(strings.Contains(shown, form)).To(BeFalse(), "a token is shown in a log, event or condition")
		}
	}
}, func() {
	if suite, _ := GinkgoConfiguration(); op != nil && len(suite.FocusStrings) == 0 {
		expectRightsUsed()
	}
})

// watching ends with the last spec: a watch that is tried again would outlive the API server.
var watching, stopWatching = context.WithCancel(context.Background())

var (
	logs   = &process.Log{} // of every manager of the run
	tokens []string         // beside those that Plivo has given out
)

// manager is a running manager.
type manager struct {
	*process.Process
	metrics string // URL of its metrics, empty if the spec chose the endpoint
}

var managers []*manager // all that were started

func startManager(args ...string) *manager {
	m := &manager{}
	defaults := []string{
		"--plivo-base-url", simURL, "--plivo-timeout", plivoTimeout.String(), "--plivo-settle-margin", settleMargin.String(),
		"--operator-namespace", operatorNamespace, "--health-probe-bind-address", "0",
		"--zap-log-level", "12", // everything: no token stands there either
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

// freeAddress returns an address of this machine that was free a moment ago.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().String()
}

var busy = regexp.MustCompile(`(?m)^(workqueue_depth|controller_runtime_active_workers)\{.*\} [1-9].*$`)

// isIdle reports whether no running manager has a resource in its queues or in
// a worker.
func isIdle() error {
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

// stop ends the manager by a signal and returns what it exits with.
func (m *manager) stop(signal os.Signal) error { return m.Stop(signal) }

// killAndRestart stands in for a node that goes down.
func killAndRestart() {
	_ = op.stop(syscall.SIGKILL)
	op = startManager()
}
