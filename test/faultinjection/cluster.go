// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// backend is an API server, either in memory or a real one.
type backend interface {
	// do performs one request, which is not a watch, and returns the changes of objects.
	do(*http.Request) (code int, body []byte, changes []change)
}

// change is the change of an object from one version to the next.
type change struct {
	resource string
	old, now *unstructured.Unstructured // old is nil for a new object
	gone     bool
}

func version(obj *unstructured.Unstructured) int {
	v, err := strconv.Atoi(obj.GetResourceVersion())
	must(err)
	return v
}

// cluster is a backend and the log of its changes. It serves watches from this log, which
// makes it possible to delay them, and keeps the fake clock stopped while a real API
// server works.
type cluster struct {
	backend backend

	mu      sync.Mutex
	log     []change
	changed chan struct{} // closed at the next change
	latest  map[target]*unstructured.Unstructured
}

func newCluster(b backend) *cluster {
	return &cluster{backend: b, changed: make(chan struct{}), latest: map[target]*unstructured.Unstructured{}}
}

func (c *cluster) do(req *http.Request) (code int, answer []byte) {
	code, body, changes := c.backend.do(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range changes {
		c.log = append(c.log, ch)
		if at := targetOf(ch.resource, ch.now); ch.gone {
			delete(c.latest, at)
		} else {
			c.latest[at] = ch.now
		}
	}
	if len(changes) > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	return code, body
}

func answer(code int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// get returns the latest version of an object, or nil.
func (c *cluster) get(at target) *unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest[at]
}

// since returns the changes from a position in the log, and a channel that is closed at
// the next change.
func (c *cluster) since(cursor int) ([]change, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log[cursor:], c.changed
}

// watch serves a watch. It calls blind before each event, which may wait.
func (c *cluster) watch(req *http.Request, blind func(context.Context)) *http.Response {
	at, _ := parse(req.URL.Path)
	query := req.URL.Query()
	from, err := strconv.Atoi(query.Get("resourceVersion"))
	must(err)
	wanted := matcher(at, query)
	reader, writer := io.Pipe()
	ctx := req.Context()
	context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
	go func() {
		for cursor := 0; ctx.Err() == nil; {
			changes, changed := c.since(cursor)
			for i := range changes {
				blind(ctx)
				if version(changes[i].now) > from && changes[i].writeEvent(at.resource, wanted, writer) != nil {
					return
				}
			}
			cursor += len(changes)
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()
	resp := answer(http.StatusOK, nil)
	resp.Body, resp.ContentLength = reader, -1
	return resp
}

func matcher(at target, query url.Values) func(*unstructured.Unstructured) bool {
	selector, err := labels.Parse(query.Get("labelSelector"))
	must(err)
	return func(obj *unstructured.Unstructured) bool {
		if obj == nil {
			return false
		}
		isInNamespace := at.namespace == "" || obj.GetNamespace() == at.namespace
		return isInNamespace && selector.Matches(labels.Set(obj.GetLabels()))
	}
}

// writeEvent writes the event that a watch of the wanted objects gets for a change.
func (c *change) writeEvent(resource string, wanted func(*unstructured.Unstructured) bool, w io.Writer) error {
	if c.resource != resource {
		return nil
	}
	was, is := wanted(c.old), wanted(c.now) && !c.gone
	kind := "MODIFIED"
	switch {
	case !was && !is:
		return nil
	case !was:
		kind = "ADDED"
	case !is:
		kind = "DELETED"
	}
	_, err := w.Write(append(encode(map[string]any{"type": kind, "object": c.now.Object}), '\n'))
	return err
}
