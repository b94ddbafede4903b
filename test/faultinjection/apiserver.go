// SPDX-License-Identifier: Apache-2.0

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

// apiserver is a real API server. Goroutines outside of the synctest bubble talk to it.
// The fake clock is stopped while a goroutine in the bubble waits for them.
type apiserver struct {
	http *http.Client
	host string
	jobs chan job
	done chan result

	mu       sync.Mutex
	reported *sync.Cond // signals each event of a watch
	latest   map[types.UID]*unstructured.Unstructured
	gone     map[types.UID]bool
	changes  []change // not returned by do yet
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
	r.reported = sync.NewCond(&r.mu)
	for _, ns := range []string{operatorNamespace, tenant} {
		r.perform(ctx, job{http.MethodPost, "/api/v1/namespaces", nil, []byte(`{"metadata":{"name":"` + ns + `"}}`)})
	}
	for resource, path := range everything {
		stream, err := r.watch(ctx, path)
		if err != nil {
			return nil, err
		}
		go r.recordEvents(resource, stream)
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

// everything contains the paths of the resources that a run writes.
var everything = map[string]string{
	secrets: "/api/v1/secrets", accounts: groupPath + "/accounts", subaccounts: groupPath + "/subaccounts",
}

// do implements backend.
func (r *apiserver) do(req *http.Request) (int, []byte, []change) {
	j := job{method: req.Method, header: req.Header.Clone()}
	// This package reads JSON only, and the metadata client prefers protobuf.
	accepted := slices.DeleteFunc(strings.Split(j.header.Get("Accept"), ","), func(form string) bool { return !strings.Contains(form, "json") })
	j.header.Set("Accept", strings.Join(accepted, ","))
	// A list from the API server's cache (resourceVersion=0) is never stale here. Each write
	// waits for its watch event, which the same cache serves.
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
	return result{resp.StatusCode, body, r.changesOf(j, resp.StatusCode, body)}
}

// changesOf waits until the watches have reported a write, and returns their changes.
func (r *apiserver) changesOf(j job, code int, body []byte) []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, _ := parse(j.url); j.method != http.MethodGet && code < 300 && everything[at.resource] != "" {
		obj := decode(body)
		uid, isDeleted := obj.GetUID(), obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0
		if obj.GetKind() == "Status" {
			id, _, err := unstructured.NestedString(obj.Object, "details", "uid")
			must(err)
			uid, isDeleted = types.UID(id), true
		}
		isReported := func() bool {
			if r.gone[uid] {
				return true
			}
			latest := r.latest[uid]
			return !isDeleted && latest != nil && version(latest) >= version(obj)
		}
		for !isReported() {
			r.reported.Wait()
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
		if resp.StatusCode != http.StatusTooManyRequests { // the response while a new CRD's storage starts
			return nil, fmt.Errorf("watching %s: %s", path, resp.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *apiserver) recordEvents(resource string, stream io.ReadCloser) {
	defer func() { _ = stream.Close() }()
	for decoder := json.NewDecoder(stream); ; {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if decoder.Decode(&event) != nil {
			return // the test has ended; a run that still waits ends at its time limit
		}
		obj := decode(event.Object)
		r.mu.Lock()
		uid := obj.GetUID()
		r.changes = append(r.changes, change{resource: resource, old: r.latest[uid], now: obj, gone: event.Type == "DELETED"})
		r.latest[uid], r.gone[uid] = obj, event.Type == "DELETED"
		r.reported.Broadcast()
		r.mu.Unlock()
	}
}

// clear deletes the objects of a run. The watches have reported all of them.
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
