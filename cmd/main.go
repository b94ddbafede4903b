// SPDX-License-Identifier: Apache-2.0

// Command manager is the operator: it parses flags, creates the caches and starts
// the reconcilers of internal/controller.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	stdlog "log"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // authentication plugins that a kubeconfig may use
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/controller"
	"github.com/subaccount-operator/subaccount-operator/internal/controller/subaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/version"
)

type options struct {
	baseURL           string
	timeout           time.Duration
	settleMargin      time.Duration
	operatorNamespace string
	namespaces        string
	accountSelector   string
	leaderElect       bool
	leaderElectionID  string
	metricsAddress    string
	metricsSecure     bool
	metricsCertPath   string
	metricsCertName   string
	metricsCertKey    string
	probeAddress      string
	maxConcurrent     int
	version           bool
	zap               zap.Options
	arguments         []string // that are no flags
}

func (o *options) bind(fs *flag.FlagSet) {
	fs.StringVar(&o.baseURL, "plivo-base-url", plivo.DefaultBaseURL, "Base URL of the Plivo API. http:// is accepted for loopback addresses only.")
	fs.DurationVar(&o.timeout, "plivo-timeout", 10*time.Second, "Time limit of one call to Plivo. If it is more than 35s, set terminationGracePeriodSeconds of the pod to more than 60.")
	fs.DurationVar(&o.settleMargin, "plivo-settle-margin", 30*time.Second, "How long after --plivo-timeout a create call may still take effect at Plivo. "+
		"After a create call without a response, and before it treats a missing subaccount as deleted, the operator waits for both durations together. "+
		"A margin that is too short can cost a second create call, whose subaccount the operator removes as a stray.")
	fs.StringVar(&o.operatorNamespace, "operator-namespace", "", "Namespace of the credentials Secrets of Accounts. "+
		"If omitted, defaults to $POD_NAMESPACE, else to the namespace of the ServiceAccount, else to subaccount-operator-system.")
	fs.StringVar(&o.namespaces, "namespaces", "", "Comma-separated list of the namespaces to serve. If omitted, all namespaces are served.")
	fs.StringVar(&o.accountSelector, "account-selector", "", "Label selector of the Accounts that this instance serves. If omitted, all Accounts are served.")
	fs.BoolVar(&o.leaderElect, "leader-elect", false, "Enable leader election. Only the leader reconciles. Required with more than one replica.")
	fs.StringVar(&o.leaderElectionID, "leader-election-id", "", "Name of the Lease for leader election. "+
		"If omitted, defaults to "+leaseName+", with a suffix that depends on --account-selector and --namespaces.")
	fs.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address of the metrics endpoint, such as :8443. 0 disables the endpoint.")
	fs.BoolVar(&o.metricsSecure, "metrics-secure", true, "Serve metrics over HTTPS; authenticate and authorize requests with TokenReview and SubjectAccessReview.")
	fs.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "Directory of the TLS certificate of the metrics endpoint. The manager reloads the certificate when it changes. "+
		"If omitted, the manager creates a self-signed certificate at each start.")
	fs.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "File name of the certificate in --metrics-cert-path.")
	fs.StringVar(&o.metricsCertKey, "metrics-cert-key", "tls.key", "File name of the private key in --metrics-cert-path.")
	fs.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of the health probes /healthz and /readyz.")
	fs.IntVar(&o.maxConcurrent, "max-concurrent-reconciles", 64, "Maximum number of concurrent reconciles of Subaccounts. At most a quarter of them call Plivo for one main account.")
	fs.BoolVar(&o.version, "version", false, "Print the version and exit.")
	o.zap.BindFlags(fs)
}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	o.arguments = flag.Args()
	if o.version {
		fmt.Println("subaccount-operator", version.String())
		return
	}
	if o.zap.Level != nil {
		o.zap.Level = withoutBodies{o.zap.Level}
	}
	if os.Getenv("GOGC") == "" {
		// Caches are most of the heap and change rarely. A lower GOGC saves
		// memory and costs CPU time (docs/benchmarks.md).
		debug.SetGCPercent(40)
	}
	log := zap.New(zap.UseFlagOptions(&o.zap))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	stdlog.SetFlags(0)
	stdlog.SetOutput(standardLog{log})
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		log.Error(err, "Manager exited with an error")
		os.Exit(1)
	}
}

// withoutBodies limits the verbosity of the log. From bodyVerbosity on, client-go
// logs the bodies of requests, which include the data of Secrets.
type withoutBodies struct{ zapcore.LevelEnabler }

const bodyVerbosity = 8

// Enabled implements zapcore.LevelEnabler.
func (b withoutBodies) Enabled(level zapcore.Level) bool {
	return level > -bodyVerbosity && b.LevelEnabler.Enabled(level)
}

func run(ctx context.Context, o options) error {
	mgr, err := setUp(ctx, o)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // SIGTERM before the manager has started
	case err != nil:
		return err
	}
	return mgr.Start(ctx)
}

func setUp(ctx context.Context, o options) (ctrl.Manager, error) {
	if len(o.arguments) > 0 {
		// The package flag ignores all flags after an argument, for example --namespaces
		// after --metrics-secure false.
		return nil, fmt.Errorf("unexpected argument %q: write the value of a flag after =", o.arguments[0])
	}
	base, err := plivo.ParseBaseURL(o.baseURL)
	if err != nil {
		return nil, fmt.Errorf("--plivo-base-url: %w", err)
	}
	if o.timeout <= 0 || o.settleMargin <= 0 || o.maxConcurrent <= 0 {
		return nil, errors.New("--plivo-timeout, --plivo-settle-margin and --max-concurrent-reconciles must be positive")
	}
	selector, err := labels.Parse(o.accountSelector)
	if err != nil {
		return nil, fmt.Errorf("--account-selector: %w", err)
	}
	namespaces := splitList(o.namespaces)
	if o.namespaces != "" && len(namespaces) == 0 {
		return nil, errors.New("--namespaces has no name; omit the flag to serve all namespaces")
	}
	if o.leaderElectionID == "" {
		o.leaderElectionID = leaseOf(selector, namespaces)
	}
	o.operatorNamespace = operatorNamespace(o.operatorNamespace)

	// A new key for each process: digests are compared only within one process.
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	digester := plivo.NewDigester(key)

	config, err := restConfig()
	if err != nil {
		return nil, err
	}
	mgr, err := newManager(ctx, config, o, namespaces, digester)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	credentials, err := addCredentialsCache(ctx, mgr, o.operatorNamespace)
	if err != nil {
		return nil, err
	}
	metrics.Registry.MustRegister(plivo.Collectors()...)

	httpClient := plivo.NewHTTPClient()
	err = controller.Add(ctx, mgr, controller.Options{
		NewClient: func(c plivo.Credentials) *plivo.Client {
			return plivo.NewClient(base, httpClient, c, "subaccount-operator/"+version.String())
		},
		Timeout: o.timeout, SettleMargin: o.settleMargin, Digester: digester, Credentials: credentials, OperatorNamespace: o.operatorNamespace,
		ClusterUID: cluster, Namespaces: namespaces, Selector: selector, MaxConcurrent: o.maxConcurrent,
		Metrics: metrics.Registry,
	})
	if err != nil {
		return nil, err
	}
	ctrl.Log.Info("Starting the manager", "version", version.String(), "operatorNamespace", o.operatorNamespace, "plivo", base.String())
	return mgr, nil
}

const leaseName = "subaccount-operator." + v1alpha1.Group

// leaseOf returns the name of the Lease that the replicas of one instance share. It
// depends on the flags that split the work between instances, so that each
// instance elects its own leader.
func leaseOf(selector labels.Selector, namespaces []string) string {
	split := selector.String()
	if len(namespaces) > 0 {
		split += "\n" + strings.Join(slices.Compact(slices.Sorted(slices.Values(namespaces))), ",")
	}
	if split == "" {
		return leaseName
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(split)) // never fails
	return fmt.Sprintf("%s-%08x", leaseName, h.Sum32())
}

func restConfig() (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	// No client-side rate limit: request budgets and --max-concurrent-reconciles
	// bound the load, and the API server has priority and fairness.
	config.QPS = -1
	config.UserAgent = "subaccount-operator/" + version.String()
	// Not logged: a policy or webhook may put anything into a warning, also the data
	// of a Secret.
	config.WarningHandlerWithContext = rest.NoWarnings{}
	// No read timeout: client-go closes a dead connection to the API server after
	// 45 s by HTTP/2 pings (HTTP2_READ_IDLE_TIMEOUT_SECONDS, 30 s by default).
	return config, nil
}

// watchableNamespaces returns the namespaces in which this process may watch
// Secrets. If it may not in some of them, it also returns a runnable that ends the
// manager when that changes.
func watchableNamespaces(ctx context.Context, config *rest.Config, o options, namespaces []string) (watched []string, untilAllowed manager.Runnable, err error) {
	client, err := authorizationclient.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	reviews := client.SelfSubjectAccessReviews()
	watched, others, err := kube.SecretsWatchable(ctx, reviews, namespaces)
	if err != nil || len(others) == 0 {
		return watched, nil, err
	}
	ctrl.Log.Error(nil, "No right to watch Secrets in some of --namespaces; the manager reads them without a cache and restarts within ten minutes of getting the right", "namespaces", others)
	if len(watched) == 0 {
		watched = []string{o.operatorNamespace} // an empty list would mean all namespaces
	}
	return watched, kube.UntilSecretsWatchable(reviews, others), nil
}

func newManager(ctx context.Context, config *rest.Config, o options, namespaces []string, digester *plivo.Digester) (ctrl.Manager, error) {
	watched, untilAllowed, err := watchableNamespaces(ctx, config, o, namespaces)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	certificate, err := metricsCertificate(o)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsOptions(o, certificate), HealthProbeBindAddress: o.probeAddress,
		Cache:          kube.CacheOptions(namespaces, watched, digester),
		LeaderElection: o.leaderElect, LeaderElectionID: o.leaderElectionID,
		LeaderElectionNamespace: o.operatorNamespace,
		// Safe, because main returns right after the manager has stopped.
		LeaderElectionReleaseOnCancel: true,
		// Time to finish a running create call and to record its response.
		GracefulShutdownTimeout: new(o.timeout + subaccount.RecordTimeout + 15*time.Second),
	})
	if err != nil {
		return nil, err
	}
	if untilAllowed != nil {
		if err := mgr.Add(untilAllowed); err != nil {
			return nil, err
		}
	}
	if certificate != nil {
		if err := mgr.Add(certificate); err != nil {
			return nil, err
		}
	}
	return mgr, mgr.AddHealthzCheck("healthz", healthz.Ping)
}

// clusterUID returns the UID of the namespace kube-system, which is part of every
// marker.
func clusterUID(ctx context.Context, live client.Reader) (types.UID, error) {
	ns := &corev1.Namespace{}
	// A control plane that has just started may not have created the namespace yet.
	err := wait.PollUntilContextTimeout(ctx, time.Second, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		err := live.Get(ctx, types.NamespacedName{Name: "kube-system"}, ns)
		return err == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return "", fmt.Errorf("reading the UID of the namespace kube-system, which is part of every marker: %w", err)
	}
	return ns.UID, nil
}

func operatorNamespace(flag string) string {
	if flag != "" {
		return flag
	}
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if data, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
		if ns := strings.TrimSpace(string(data)); ns != "" {
			return ns
		}
	}
	return "subaccount-operator-system"
}

func splitList(s string) []string {
	var out []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
