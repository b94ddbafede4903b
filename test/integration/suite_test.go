// Package integration drives the manager's real binary as its users do: a real
// kube-apiserver, etcd and kube-controller-manager on one side, the simulated
// Plivo over HTTP on the other. Each spec has a main account, an Account and a
// namespace of its own.
package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"os"
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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/devplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const operatorNamespace = "subaccount-operator-system"

// plivoTimeout is the manager's: short, because the settle time is it and 30 s.
const plivoTimeout = 2 * time.Second

var (
	ctx    = context.Background()
	plane  *devplane.Plane
	sim    *plivosim.Server
	simURL string
	k8s    client.Client
	binary string
	op     *manager
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	SetDefaultConsistentlyDuration(3 * time.Second)
	RunSpecs(t, "Integration")
}

var _ = BeforeSuite(func() {
	var err error
	binary, err = process.Build("./cmd", GinkgoT().TempDir(), "manager")
	Expect(err).NotTo(HaveOccurred())

	plane, err = devplane.Start(devplane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err = client.New(plane.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	sim = plivosim.New(plivosim.Options{RateLimit: 300, Latency: 5 * time.Millisecond})
	server := httptest.NewServer(sim)
	DeferCleanup(server.CloseClientConnections)
	simURL = server.URL

	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})).To(Succeed())
	op = startManager()
	DeferCleanup(func() { Expect(op.stop(syscall.SIGTERM)).To(Succeed()) })
})

// Whatever the specs have done: no token of the run stands where people read.
var _ = AfterSuite(func() {
	if op == nil {
		return
	}
	shown := logs.String()
	var events corev1.EventList
	Expect(k8s.List(ctx, &events)).To(Succeed())
	for _, e := range events.Items {
		shown += e.Message
	}
	var all v1alpha1.SubaccountList
	Expect(k8s.List(ctx, &all)).To(Succeed())
	for _, s := range all.Items {
		shown += fmt.Sprint(s)
	}
	Expect(shown).To(ContainSubstring("starting"))
	Expect(strings.Contains(shown, "Request Body")).To(BeFalse(), "client-go logs bodies, Secrets among them, some of them in hex")
	for _, token := range tokens {
		for _, form := range []string{token, base64.StdEncoding.EncodeToString([]byte(token))} {
			Expect(strings.Contains(shown, form)).To(BeFalse(), "a token is shown in a log, event or condition")
		}
	}
})

var (
	logs   = &process.Log{} // of every manager of the run
	tokens []string         // of every main account and subaccount that a spec knew
)

// manager is a running manager.
type manager struct{ *process.Process }

func startManager(args ...string) *manager {
	args = append([]string{
		"--plivo-base-url", simURL, "--plivo-timeout", plivoTimeout.String(), "--operator-namespace", operatorNamespace,
		"--health-probe-bind-address", "0", "--zap-log-level", "12", // everything: no token stands there either
	}, args...)
	p, err := process.Start(logs, []string{"KUBECONFIG=" + plane.Kubeconfig}, binary, args...)
	Expect(err).NotTo(HaveOccurred())
	return &manager{p}
}

// stop ends the manager by a signal and returns what it exits with.
func (m *manager) stop(signal os.Signal) error { return m.Stop(signal) }

// killAndRestart stands in for a node that goes down.
func killAndRestart() {
	_ = op.stop(syscall.SIGKILL)
	op = startManager()
}
