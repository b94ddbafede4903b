package faultinjection

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/controller"
	"github.com/subaccount-operator/subaccount-operator/internal/controller/subaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// process is one manager, with all that the real one has but leader election:
// caches, queues, both controllers, the sweeps. Everything that leaves it goes
// through step.
type process struct {
	world *world
	name  string
	stop  context.CancelFunc
	up    chan struct{} // closed when all of it runs
	done  chan struct{} // closed when the manager has ended
	dead  atomic.Bool   // nothing that it still does has any effect
	// blindUntil: its watches tell nothing before. frozenUntil: nor does it do
	// anything.
	blindUntil, frozenUntil atomic.Pointer[time.Time]
	leaves                  time.Time // once another has taken its place
}

var errDead = errors.New("the process is dead")

const plivoTimeout = 10 * time.Second

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(s))
	must(v1alpha1.AddToScheme(s))
	return s
}()

// mapper spares each process the discovery.
var mapper = func() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, k := range kinds {
		scope := meta.RESTScopeRoot
		if k.namespaced {
			scope = meta.RESTScopeNamespace
		}
		m.Add(schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.name}, scope)
	}
	return m
}()

var baseURL = &url.URL{Scheme: "https", Host: "plivo"}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func startProcess(w *world) *process {
	ctx, stop := context.WithCancel(context.Background())
	w.processes++
	p := &process{world: w, name: fmt.Sprint("process ", w.processes), stop: stop, up: make(chan struct{}), done: make(chan struct{})}
	digester := plivo.NewDigester(make([]byte, 32))
	mgr, err := ctrl.NewManager(
		&rest.Config{Host: "http://kubernetes", Transport: roundTripper(p.kubernetes), QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}},
		ctrl.Options{
			Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
			MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
			Cache:          kube.CacheOptions(nil, nil, digester),
			Controller:     config.Controller{SkipNameValidation: new(true), RecoverPanic: new(false)},
			// As in cmd/main.go.
			GracefulShutdownTimeout: new(plivoTimeout + subaccount.RecordTimeout + 15*time.Second),
		})
	must(err)
	options := kube.CredentialsCacheOptions(operatorNamespace)
	options.Scheme, options.Mapper, options.HTTPClient = scheme, mapper, mgr.GetHTTPClient()
	credentials, err := cache.New(mgr.GetConfig(), options)
	must(err)
	must(mgr.Add(credentials))
	must(mgr.Add(manager.RunnableFunc(func(context.Context) error { close(p.up); return nil })))
	httpClient := &http.Client{Transport: roundTripper(p.plivo), CheckRedirect: plivo.NewHTTPClient().CheckRedirect}
	err = controller.Add(ctx, mgr, controller.Options{
		SettleMargin: 30 * time.Second,
		NewClient:    func(c plivo.Credentials) *plivo.Client { return plivo.NewClient(baseURL, httpClient, c, "walk") },
		Timeout:      plivoTimeout, Digester: digester, Credentials: credentials, OperatorNamespace: operatorNamespace,
		ClusterUID: clusterUID, Selector: labels.Everything(), MaxConcurrent: 1,
	})
	must(err)
	go func() {
		defer close(p.done)
		if err := mgr.Start(ctx); err != nil && ctx.Err() == nil {
			panic(err)
		}
		p.dead.Store(true) // the program ends, whatever still runs
	}()
	return p
}

// kill ends the process: from now on nothing that it does has any effect.
func (p *process) kill() {
	p.dead.Store(true)
	go func() {
		<-p.up // a manager that is told to stop while it starts spins
		time.Sleep(time.Millisecond)
		p.stop()
	}()
}

// kubernetes is the process's way to the API server.
func (p *process) kubernetes(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	switch {
	case query.Get("watch") != "":
		return p.world.cluster.watch(req, func(ctx context.Context) { p.sighted(ctx, req.URL.Path) }), nil
	case strings.Contains(req.URL.Path, "/events"):
		body, _ := io.ReadAll(req.Body)
		return answer(http.StatusCreated, body), nil
	case query.Has("resourceVersion"): // a cache fills itself
		return answer(p.world.cluster.do(req)), nil
	}
	at, sub := parse(req.URL.Path)
	what := strings.ToLower(req.Method) + "-" + at.resource
	if sub != "" {
		what += "/" + sub
	}
	return p.step(what, req, func() (*http.Response, error) {
		code, body := p.world.cluster.do(req)
		if what == "post-"+secrets && code == http.StatusCreated {
			p.world.handedOut()
		}
		time.Sleep(time.Millisecond) // watches tell of it meanwhile
		return answer(code, body), nil
	})
}

// plivo is the process's way to Plivo.
func (p *process) plivo(req *http.Request) (*http.Response, error) {
	return p.step(operation(req), req, func() (*http.Response, error) { return p.world.send(req) })
}

func operation(req *http.Request) string {
	one := !strings.HasSuffix(req.URL.Path, "/Subaccount/")
	switch {
	case req.Method == http.MethodPost && one:
		return "update"
	case req.Method == http.MethodPost:
		return "create"
	case req.Method == http.MethodDelete:
		return "delete"
	case one:
		return "get"
	default:
		return "list"
	}
}

// step makes one call of the process, with the fault that is due at it.
func (p *process) step(what string, req *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	if p.dead.Load() {
		return nil, errDead
	}
	// Of two calls at the same instant it is always the same one that goes first.
	time.Sleep(offset(p.name + what))
	if until := p.frozenUntil.Load(); until != nil {
		time.Sleep(time.Until(*until))
	}
	e, f := p.world.next(what)
	var resp *http.Response
	var err error
	if f == nil {
		resp, err = send()
	} else {
		resp, err = f.strike(&step{process: p, what: what, request: req, send: send})
	}
	if err == nil {
		e.code = resp.StatusCode
	}
	if p.dead.Load() {
		return nil, errDead
	}
	return resp, err
}

// offset is a time of less than a millisecond of what's own.
func offset(what string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(what))
	return time.Duration(h.Sum32()%1000) * time.Microsecond
}

// sighted waits while the process's watches are to tell nothing.
func (p *process) sighted(ctx context.Context, path string) {
	until := p.blindUntil.Load()
	if until == nil {
		return
	}
	select {
	case <-time.After(time.Until(*until) + offset(p.name+path)):
	case <-ctx.Done():
	}
}
