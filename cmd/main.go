// The manager: flags and wiring only.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
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
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every way of authentication that a kubeconfig can name
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
}

func (o *options) bind(fs *flag.FlagSet) {
	fs.StringVar(&o.baseURL, "plivo-base-url", plivo.DefaultBaseURL, "Base URL of Plivo's API; plain http for loopback addresses only.")
	fs.DurationVar(&o.timeout, "plivo-timeout", 10*time.Second, "Time limit of one call to Plivo. With more than 35s, give the pod a longer terminationGracePeriodSeconds than 60.")
	fs.DurationVar(&o.settleMargin, "plivo-settle-margin", 30*time.Second, "How long after --plivo-timeout a create call may still take effect at Plivo. "+
		"After a create call without a response, and before it treats a missing subaccount as deleted, the operator waits for both durations together. "+
		"A margin that is too short can cost a second create call, whose subaccount the operator removes as a stray.")
	fs.StringVar(&o.operatorNamespace, "operator-namespace", "", "Namespace of the Accounts' credentials Secrets. "+
		"Left out: $POD_NAMESPACE, else that of the service account, else subaccount-operator-system.")
	fs.StringVar(&o.namespaces, "namespaces", "", "Comma-separated namespaces to serve; left out: all.")
	fs.StringVar(&o.accountSelector, "account-selector", "", "Labels of the Accounts that this instance serves; left out: all.")
	fs.BoolVar(&o.leaderElect, "leader-elect", false, "Elect a leader, so that of several instances one works.")
	fs.StringVar(&o.leaderElectionID, "leader-election-id", "", "Name of the Lease. "+
		"If omitted, it defaults to "+leaseName+", with a suffix for each --account-selector and list of --namespaces.")
	fs.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address of the metrics endpoint, such as :8443; 0: none.")
	fs.BoolVar(&o.metricsSecure, "metrics-secure", true, "Serve metrics over HTTPS; authenticate and authorize requests with TokenReview and SubjectAccessReview.")
	fs.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "Folder of the certificate of the metrics endpoint, which is read again when it changes. "+
		"If omitted, the manager signs a certificate itself at each start.")
	fs.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "File of the certificate in --metrics-cert-path.")
	fs.StringVar(&o.metricsCertKey, "metrics-cert-key", "tls.key", "File of the certificate's key in --metrics-cert-path.")
	fs.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	fs.IntVar(&o.maxConcurrent, "max-concurrent-reconciles", 64, "Maximum number of concurrent reconciles of Subaccounts. At most a quarter of them call Plivo for one main account.")
	fs.BoolVar(&o.version, "version", false, "Print the version and exit.")
	o.zap.BindFlags(fs)
}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	if o.version {
		fmt.Println("subaccount-operator", version.String())
		return
	}
	if o.zap.Level != nil {
		o.zap.Level = bodiless{o.zap.Level}
	}
	if os.Getenv("GOGC") == "" {
		// What is kept is mostly caches at rest: half of Go's usual headroom costs
		// little time, and is a sixth of the memory (docs/benchmarks.md).
		debug.SetGCPercent(50)
	}
	log := zap.New(zap.UseFlagOptions(&o.zap))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		log.Error(err, "the manager cannot go on")
		os.Exit(1)
	}
}

// bodiless ends below the verbosity at which client-go logs the bodies of
// requests, Secrets among them.
type bodiless struct{ zapcore.LevelEnabler }

const bodiesFrom = 8

// Enabled implements zapcore.LevelEnabler.
func (b bodiless) Enabled(level zapcore.Level) bool {
	return level > -bodiesFrom && b.LevelEnabler.Enabled(level)
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
	if o.leaderElectionID == "" {
		o.leaderElectionID = leaseOf(selector, splitList(o.namespaces))
	}
	o.operatorNamespace = operatorNamespace(o.operatorNamespace)

	// The key of the digests lives and dies with the process.
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	digester := plivo.NewDigester(key)

	config, err := restConfig()
	if err != nil {
		return nil, err
	}
	namespaces := splitList(o.namespaces)
	mgr, err := newManager(ctx, config, o, namespaces, digester)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterUID(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	credentials, err := addCredentials(ctx, mgr, o.operatorNamespace)
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
	ctrl.Log.Info("starting", "version", version.String(), "operatorNamespace", o.operatorNamespace, "plivo", base.String())
	return mgr, nil
}

const leaseName = "subaccount-operator." + v1alpha1.Group

// leaseOf returns the name of the lease that the replicas of one instance
// share. It follows from all that splits the work between instances, so that
// each of them elects a leader of its own.
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
	// Plivo's budgets and the number of passes at once bound what is done; the
	// API server has its own fairness.
	config.QPS = -1
	config.UserAgent = "subaccount-operator/" + version.String()
	// A dead connection to the API server ends after 45 s: client-go's transport
	// sends HTTP/2 pings (HTTP2_READ_IDLE_TIMEOUT_SECONDS, 30 s by default).
	return config, nil
}

// secretsIn leaves out the namespaces where this process may not watch Secrets,
// and returns what waits for that to change, if there are any.
func secretsIn(ctx context.Context, config *rest.Config, o options, namespaces []string) (watched []string, waiting manager.Runnable, err error) {
	client, err := authorizationclient.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	reviews := client.SelfSubjectAccessReviews()
	watched, others, err := kube.SecretsWatchable(ctx, reviews, namespaces)
	if err != nil || len(others) == 0 {
		return watched, nil, err
	}
	ctrl.Log.Error(nil, "no right to watch Secrets in some of --namespaces; it is asked for again", "namespaces", others)
	if len(watched) == 0 {
		watched = []string{o.operatorNamespace} // none would mean all
	}
	return watched, kube.UntilSecretsWatchable(reviews, others), nil
}

func newManager(ctx context.Context, config *rest.Config, o options, namespaces []string, digester *plivo.Digester) (ctrl.Manager, error) {
	watched, waiting, err := secretsIn(ctx, config, o, namespaces)
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
		// Main ends right after the manager, so the lease can be given up.
		LeaderElectionReleaseOnCancel: true,
		// A create call under way may end and be recorded.
		GracefulShutdownTimeout: new(o.timeout + subaccount.RecordTimeout + 15*time.Second),
	})
	if err != nil {
		return nil, err
	}
	if waiting != nil {
		if err := mgr.Add(waiting); err != nil {
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

// clusterUID is the UID of the namespace kube-system, which markers bear.
func clusterUID(ctx context.Context, live client.Reader) (types.UID, error) {
	ns := &corev1.Namespace{}
	// A control plane that has only just started may not have made it yet.
	err := wait.PollUntilContextTimeout(ctx, time.Second, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		err := live.Get(ctx, types.NamespacedName{Name: "kube-system"}, ns)
		return err == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return "", fmt.Errorf("the UID of the namespace kube-system, by which this cluster knows its own: %w", err)
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
