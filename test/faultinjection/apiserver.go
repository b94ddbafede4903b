package faultinjection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// apiserver is a real one. It is spoken to by goroutines outside of the
// bubble: while one inside waits for them, the fake clock stands still.
type apiserver struct {
	http *http.Client
	host string
	jobs chan job
	done chan result

	mu      sync.Mutex
	told    *sync.Cond // a watch has told something
	latest  map[types.UID]*unstructured.Unstructured
	gone    map[types.UID]bool
	changes []change // that nobody was told of yet
}

type job struct {
	method, url string
	header      http.Header
	body        []byte
}

type result struct {
	code    int
	body    []byte
	changes []change
}

// newAPIServer watches an API server until the context ends.
func newAPIServer(ctx context.Context, config *rest.Config) (*apiserver, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	host, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	r := &apiserver{
		http: client, host: strings.TrimSuffix(host.String(), "/"), jobs: make(chan job), done: make(chan result),
		latest: map[types.UID]*unstructured.Unstructured{}, gone: map[types.UID]bool{},
	}
	r.told = sync.NewCond(&r.mu)
	for _, ns := range []string{operatorNamespace, tenant} {
		r.perform(ctx, job{http.MethodPost, "/api/v1/namespaces", nil, []byte(`{"metadata":{"name":"` + ns + `"}}`)})
	}
	for resource, path := range everything {
		stream, err := r.watch(ctx, path)
		if err != nil {
			return nil, err
		}
		go r.follow(resource, stream)
	}
	go func() {
		for {
			select {
			case j := <-r.jobs:
				r.done <- r.perform(ctx, j)
			case <-ctx.Done():
				return
			}
		}
	}()
	return r, nil
}

// everything that a run writes.
var everything = map[string]string{
	secrets: "/api/v1/secrets", accounts: groupPath + "/accounts", subaccounts: groupPath + "/subaccounts",
}

// do implements backend.
func (r *apiserver) do(req *http.Request) (int, []byte, []change) {
	j := job{method: req.Method, header: req.Header.Clone()}
	// Everything here is JSON; the client for metadata alone would rather have protobuf.
	accepted := slices.DeleteFunc(strings.Split(j.header.Get("Accept"), ","), func(form string) bool { return !strings.Contains(form, "json") })
	j.header.Set("Accept", strings.Join(accepted, ","))
	// A list from the API server's cache (resourceVersion=0) does not lag here: each
	// write has waited until a watch, which that cache serves, reported it.
	j.url = req.URL.RequestURI()
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		must(err)
		j.body = body
	}
	r.jobs <- j
	done := <-r.done
	return done.code, done.body, done.changes
}

func (r *apiserver) perform(ctx context.Context, j job) result {
	req, err := http.NewRequestWithContext(ctx, j.method, r.host+j.url, bytes.NewReader(j.body))
	must(err)
	if j.header != nil {
		req.Header = j.header
	}
	resp, err := r.http.Do(req)
	must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(err)
	return result{resp.StatusCode, body, r.changed(j, resp.StatusCode, body)}
}

// changed waits until the watches have told of a write, and returns what they
// have told.
func (r *apiserver) changed(j job, code int, body []byte) []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, _ := parse(j.url); j.method != http.MethodGet && code < 300 && everything[at.resource] != "" {
		obj := decode(body)
		uid, goes := obj.GetUID(), obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0
		if obj.GetKind() == "Status" {
			id, _, err := unstructured.NestedString(obj.Object, "details", "uid")
			must(err)
			uid, goes = types.UID(id), true
		}
		for !r.gone[uid] && (goes || r.latest[uid] == nil || version(r.latest[uid]) < version(obj)) {
			r.told.Wait()
		}
	}
	changes := r.changes
	r.changes = nil
	return changes
}

func (r *apiserver) watch(ctx context.Context, path string) (io.ReadCloser, error) {
	list := decode(r.perform(ctx, job{http.MethodGet, path, nil, nil}).body)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.host+path+"?watch=true&resourceVersion="+list.GetResourceVersion(), http.NoBody)
	if err != nil {
		return nil, err
	}
	for {
		resp, err := r.http.Do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK {
			return resp.Body, nil
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusTooManyRequests { // the answer while a new CRD's storage starts
			return nil, fmt.Errorf("watching %s: %s", path, resp.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *apiserver) follow(resource string, stream io.ReadCloser) {
	defer func() { _ = stream.Close() }()
	for decoder := json.NewDecoder(stream); ; {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if decoder.Decode(&event) != nil {
			return // the end of the test; a run that still waits is ended by its time limit
		}
		obj := decode(event.Object)
		r.mu.Lock()
		uid := obj.GetUID()
		r.changes = append(r.changes, change{resource: resource, old: r.latest[uid], now: obj, gone: event.Type == "DELETED"})
		r.latest[uid], r.gone[uid] = obj, event.Type == "DELETED"
		r.told.Broadcast()
		r.mu.Unlock()
	}
}

// clear removes what a run has left. The watches have reported all of it.
func (r *apiserver) clear(ctx context.Context) {
	r.mu.Lock()
	var left []*unstructured.Unstructured
	for uid, obj := range r.latest {
		if !r.gone[uid] {
			left = append(left, obj)
		}
	}
	r.mu.Unlock()
	for _, obj := range left {
		path := pathOf(obj)
		if len(obj.GetFinalizers()) > 0 {
			r.perform(ctx, job{http.MethodPatch, path, http.Header{"Content-Type": {string(types.MergePatchType)}}, []byte(`{"metadata":{"finalizers":null}}`)})
		}
		if obj.GetDeletionTimestamp() == nil {
			r.perform(ctx, job{http.MethodDelete, path, nil, nil})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.latest)
	clear(r.gone)
}

func pathOf(obj *unstructured.Unstructured) string {
	for resource, path := range everything {
		switch {
		case kinds[resource].name != obj.GetKind():
		case obj.GetNamespace() == "":
			return path + "/" + obj.GetName()
		default:
			return strings.TrimSuffix(path, resource) + namespaces + "/" + obj.GetNamespace() + "/" + resource + "/" + obj.GetName()
		}
	}
	panic("no path for " + obj.GetKind())
}
