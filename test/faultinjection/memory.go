// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// memory is an API server in memory. It serves the kinds that the operator uses, with
// resource versions, UIDs, generations, finalizers and the status subresource. It panics
// on any other request. TestConformance checks that it behaves like a real API server.
type memory struct {
	mu      sync.Mutex
	objects map[target]*unstructured.Unstructured
	version int
	uids    int
	changes []change // of the current request
}

// target is the resource or object that a request's path names.
type target struct {
	resource, namespace, name string
}

func newMemory() *memory {
	m := &memory{objects: map[target]*unstructured.Unstructured{}}
	for _, at := range []target{{namespaces, "", operatorNamespace}, {namespaces, "", tenant}, {crds, "", subaccounts + "." + v1alpha1.Group}} {
		obj := &unstructured.Unstructured{Object: map[string]any{}}
		obj.SetName(at.name)
		kinds[at.resource].complete(obj)
		m.put(at, obj)
	}
	return m
}

// do implements backend.
func (m *memory) do(req *http.Request) (int, []byte, []change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes = nil
	at, sub := parse(req.URL.Path)
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	answer, err := m.perform(req, at, sub, body)
	if err != nil {
		status := err.Status()
		status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		return int(status.Code), encode(status), m.changes
	}
	code := http.StatusOK
	if req.Method == http.MethodPost {
		code = http.StatusCreated
	}
	return code, encode(answer), m.changes
}

func (m *memory) perform(req *http.Request, at target, sub string, body []byte) (any, *apierrors.StatusError) {
	kind, isServedKind := kinds[at.resource]
	isStatusPatch := sub == "status" && kind.status && req.Method == http.MethodPatch
	isServedPath := sub == "" || isStatusPatch
	if !isServedKind || !isServedPath {
		panic(fmt.Sprintf("the API server in memory does not serve %s %s", req.Method, req.URL))
	}
	switch old := m.objects[at]; {
	case req.Method == http.MethodPost:
		return m.create(kind, at, body)
	case req.Method == http.MethodGet && at.name == "":
		return m.list(kind, at, req.URL.Query()), nil
	case old == nil:
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: kind.group, Resource: at.resource}, at.name)
	case req.Method == http.MethodGet:
		return old, nil
	case req.Method == http.MethodPut:
		return m.update(kind, at, "", old, decode(body))
	case req.Method == http.MethodPatch:
		patched, err := patch(old, types.PatchType(req.Header.Get("Content-Type")), body)
		if err != nil {
			return nil, err
		}
		return m.update(kind, at, sub, old, patched)
	case req.Method == http.MethodDelete:
		return m.delete(kind, at, old, body)
	default:
		panic("the API server in memory does not serve " + req.Method)
	}
}

func (m *memory) create(kind kind, at target, body []byte) (any, *apierrors.StatusError) {
	obj := decode(body)
	at.name = obj.GetName()
	if m.objects[at] != nil {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Group: kind.group, Resource: at.resource}, at.name)
	}
	m.uids++
	obj.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", m.uids)))
	obj.SetCreationTimestamp(metav1.Now())
	if at.namespace != "" {
		obj.SetNamespace(at.namespace)
	}
	if kind.schema != nil {
		obj.SetGeneration(1)
		delete(obj.Object, "status")
	}
	kind.complete(obj)
	m.put(at, obj)
	return obj, nil
}

// update stores the fields that may be changed. If they are unchanged, it keeps the
// resource version.
func (m *memory) update(kind kind, at target, sub string, old, wanted *unstructured.Unstructured) (any, *apierrors.StatusError) {
	resource := schema.GroupResource{Group: kind.group, Resource: at.resource}
	if v := wanted.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
		return nil, apierrors.NewConflict(resource, at.name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	if uid := wanted.GetUID(); uid != "" && uid != old.GetUID() {
		return nil, apierrors.NewConflict(resource, at.name, fmt.Errorf("another UID"))
	}
	updated := wanted
	if sub == "status" {
		updated = old.DeepCopy()
		updated.Object["status"] = wanted.Object["status"]
	} else {
		for _, field := range []string{"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"} {
			keepField(updated, old, "metadata", field)
		}
		if kind.status {
			keepField(updated, old, "status")
		}
	}
	kind.complete(updated)
	updated.SetResourceVersion(old.GetResourceVersion())
	if isEqual(updated, old) {
		return old, nil
	}
	if kind.schema != nil && !isEqual(updated.Object["spec"], old.Object["spec"]) {
		updated.SetGeneration(old.GetGeneration() + 1)
	}
	if updated.GetDeletionTimestamp() != nil && len(updated.GetFinalizers()) == 0 {
		m.remove(at, updated.DeepCopy())
		return updated, nil // with the old resource version, as the API server does
	}
	m.put(at, updated)
	return updated, nil
}

func (m *memory) delete(kind kind, at target, old *unstructured.Unstructured, body []byte) (any, *apierrors.StatusError) {
	var options metav1.DeleteOptions
	if len(body) > 0 {
		must(json.Unmarshal(body, &options))
	}
	if !meetsPreconditions(old, options.Preconditions) {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: kind.group, Resource: at.resource}, at.name, fmt.Errorf("a precondition failed"))
	}
	switch {
	case len(old.GetFinalizers()) == 0:
		m.remove(at, old.DeepCopy())
		return metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}, nil
	case old.GetDeletionTimestamp() != nil:
		return old, nil
	}
	dying := old.DeepCopy()
	dying.SetDeletionTimestamp(new(metav1.Now()))
	dying.SetDeletionGracePeriodSeconds(new(int64(0)))
	if kind.schema != nil {
		dying.SetGeneration(old.GetGeneration() + 1)
	}
	m.put(at, dying)
	return dying, nil
}

func meetsPreconditions(obj *unstructured.Unstructured, p *metav1.Preconditions) bool {
	if p == nil {
		return true
	}
	isUIDMet := p.UID == nil || *p.UID == obj.GetUID()
	isVersionMet := p.ResourceVersion == nil || *p.ResourceVersion == obj.GetResourceVersion()
	return isUIDMet && isVersionMet
}

func (m *memory) list(kind kind, at target, query url.Values) any {
	selector, err := labels.Parse(query.Get("labelSelector"))
	must(err)
	chosen, err := fields.ParseSelector(query.Get("fieldSelector"))
	must(err)
	items := []any{}
	for _, obj := range m.objects {
		t := targetOf(at.resource, obj)
		isInNamespace := at.namespace == "" || t.namespace == at.namespace
		isOfResource := m.objects[t] == obj
		if isOfResource && isInNamespace && selector.Matches(labels.Set(obj.GetLabels())) && chosen.Matches(selectableFields(obj)) {
			items = append(items, obj.Object)
		}
	}
	slices.SortFunc(items, func(a, b any) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return map[string]any{
		"apiVersion": kind.apiVersion(), "kind": kind.name + "List", "items": items,
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(m.version)},
	}
}

// selectableFields returns the fields for field selectors.
func selectableFields(obj *unstructured.Unstructured) fields.Set {
	authID, _, _ := unstructured.NestedString(obj.Object, "status", "authID")
	return fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace(), "status.authID": authID}
}

func sortKey(item any) string {
	u := unstructured.Unstructured{Object: item.(map[string]any)}
	return u.GetNamespace() + "/" + u.GetName()
}

func (m *memory) put(at target, obj *unstructured.Unstructured) {
	m.stamp(obj)
	m.changes = append(m.changes, change{resource: at.resource, old: m.objects[at], now: obj})
	m.objects[at] = obj
}

func (m *memory) remove(at target, last *unstructured.Unstructured) {
	m.stamp(last)
	m.changes = append(m.changes, change{resource: at.resource, old: m.objects[at], now: last, gone: true})
	delete(m.objects, at)
}

func (m *memory) stamp(obj *unstructured.Unstructured) {
	m.version++
	obj.SetResourceVersion(strconv.Itoa(m.version))
}

// patch applies a JSON patch or a merge patch.
func patch(old *unstructured.Unstructured, form types.PatchType, body []byte) (*unstructured.Unstructured, *apierrors.StatusError) {
	var data []byte
	var err error
	switch form {
	case types.JSONPatchType:
		operations, broken := jsonpatch.DecodePatch(body)
		must(broken)
		if data, err = operations.Apply(encode(old)); err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
	case types.MergePatchType:
		data, err = jsonpatch.MergePatch(encode(old), body)
		must(err)
	default:
		panic("the API server in memory does not serve patches of type " + string(form))
	}
	return decode(data), nil
}

// parse splits a path of the Kubernetes API.
func parse(path string) (at target, sub string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "api" {
		parts = parts[2:]
	} else {
		parts = parts[3:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		at.namespace, parts = parts[1], parts[2:]
	}
	at.resource = parts[0]
	if len(parts) > 1 {
		at.name = parts[1]
	}
	if len(parts) > 2 {
		sub = parts[2]
	}
	return at, sub
}

func targetOf(resource string, obj *unstructured.Unstructured) target {
	return target{resource: resource, namespace: obj.GetNamespace(), name: obj.GetName()}
}

func keepField(updated, old *unstructured.Unstructured, path ...string) {
	if v, ok, _ := unstructured.NestedFieldNoCopy(old.Object, path...); ok {
		must(unstructured.SetNestedField(updated.Object, v, path...))
	} else {
		unstructured.RemoveNestedField(updated.Object, path...)
	}
}

func isEqual(a, b any) bool { return bytes.Equal(encode(a), encode(b)) }

func encode(v any) []byte {
	data, err := json.Marshal(v)
	must(err)
	return data
}

func decode(data []byte) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	must(utiljson.Unmarshal(data, &u.Object)) // keeps integers as int64
	return u
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
