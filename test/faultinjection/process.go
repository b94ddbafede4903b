// SPDX-License-Identifier: Apache-2.0

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
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// process is one manager with caches, queues, both controllers and sweeps, but without
// leader election. All of its calls, except watches, events and the lists that fill
// caches, go through step.
type process struct {
	world *world
	name  string
	stop  context.CancelFunc
	up    chan struct{} // closed when the manager has started
	done  chan struct{} // closed when the manager has ended
	dead  atomic.Bool   // its calls have no effect any more
	// Until blindUntil its watches deliver no events. Until frozenUntil it makes no calls.
	blindUntil, frozenUntil atomic.Pointer[time.Time]
	killAt                  time.Time // when a successor runs
}

var errDead = errors.New("the process is dead")

const plivoTimeout = 10 * time.Second

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(s))
	must(v1alpha1.AddToScheme(s))
	return s
}()

// mapper replaces discovery, which would cost calls in each process.
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
			// The same as in cmd/main.go.
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
		p.dead.Store(true) // the end of the program ends its goroutines
	}()
	return p
}

// kill ends the process. Its calls have no effect from now on.
func (p *process) kill() {
	p.dead.Store(true)
	go func() {
		<-p.up // a manager that is stopped during its start loops forever
		time.Sleep(time.Millisecond)
		p.stop()
	}()
}

// kubernetes carries the process's calls to the API server.
func (p *process) kubernetes(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	switch {
	case query.Get("watch") != "":
		return p.world.cluster.watch(req, func(ctx context.Context) { p.waitWhileBlind(ctx, req.URL.Path) }), nil
	case strings.Contains(req.URL.Path, "/events"):
		body, _ := io.ReadAll(req.Body)
		return answer(http.StatusCreated, body), nil
	case query.Has("resourceVersion"): // the initial list of a cache
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
			p.world.checkCredentials()
		}
		time.Sleep(time.Millisecond) // lets watches report the change before the response
		return answer(code, body), nil
	})
}

// plivo carries the process's calls to Plivo.
func (p *process) plivo(req *http.Request) (*http.Response, error) {
	return p.step(string(operationOf(req)), req, func() (*http.Response, error) { return p.world.send(req) })
}

// operationOf panics on a request that is none of the operations on subaccounts, so that
// a new kind of call cannot pass as one of the others.
func operationOf(req *http.Request) plivosim.Op {
	op := plivosim.OpOf(req.Method, req.URL.Path)
	if op == plivosim.OpOther {
		panic(fmt.Sprintf("got %s %s, want a request for subaccounts", req.Method, req.URL.Path))
	}
	return op
}

// step makes one call of the process, with the injection that is due at it.
func (p *process) step(what string, req *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	if p.dead.Load() {
		return nil, errDead
	}
	if err := req.Context().Err(); err != nil {
		return nil, err // like net/http
	}
	// Gives two calls at the same instant a fixed order.
	time.Sleep(offset(p.name + what))
	if until := p.frozenUntil.Load(); until != nil {
		time.Sleep(time.Until(*until))
	}
	e, i := p.world.next(what)
	var resp *http.Response
	var err error
	if i == nil {
		resp, err = send()
	} else {
		resp, err = i.apply(&step{process: p, what: what, request: req, send: send})
	}
	if err == nil {
		e.code = resp.StatusCode
	}
	if p.dead.Load() {
		return nil, errDead
	}
	return resp, err
}

// offset is a duration of less than a millisecond that depends on the text alone.
func offset(what string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(what))
	return time.Duration(h.Sum32()%1000) * time.Microsecond
}

// waitWhileBlind waits until the process's watches may deliver events.
func (p *process) waitWhileBlind(ctx context.Context, path string) {
	until := p.blindUntil.Load()
	if until == nil {
		return
	}
	select {
	case <-time.After(time.Until(*until) + offset(p.name+path)):
	case <-ctx.Done():
	}
}
