// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const (
	operatorNamespace = "operator"
	tenant            = "tenant"
	clusterUID        = "0a1b2c3d-0000-4000-8000-000000000000"
	mainID            = "MAWALKWALKWALKWALKWA"
	mainToken         = "the-main-account-s-token-of-the-fault-walk"
)

// world is one run: a cluster, a simulated Plivo, and the processes of the operator.
type world struct {
	cluster *cluster
	sim     *plivosim.Server

	mu        sync.Mutex
	due       schedule
	count     map[string]int // number of steps so far, by kind
	trace     []*entry
	recording bool  // steps go into the trace, and injections apply
	broken    error // a state that must never occur
	wanted    struct {
		name    string
		removed bool
		edits   int
	}
	resumeAt time.Time // when the user removes spec.suspend

	uid       types.UID
	processes int        // number of started processes
	process   *process   // the leader
	former    []*process // processes that a successor has replaced
	strangers []plivosim.Subaccount
}

var subaccountAt = target{subaccounts, tenant, "a"}

// newWorld creates a world with an Account and with strangers: subaccounts that the
// operator must not change.
func newWorld(b backend, due schedule) *world {
	w := &world{cluster: newCluster(b), due: due, count: map[string]int{}, recording: true}
	w.sim = plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: mainToken}, Seed: 1, Latency: 20 * time.Millisecond, RateLimit: 300})
	for _, name := range []string{"A stranger", "k8s-99999999-01234567-89ab-cdef-0123-456789abcdef", "k8s-0a1b2c3d-mine"} {
		w.strangers = append(w.strangers, w.sim.Add(mainID, name, true))
	}
	w.wanted.name = "Name 0"
	w.create("/api/v1/namespaces/"+operatorNamespace+"/secrets", &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "credentials"}, StringData: map[string]string{"auth_id": mainID, "auth_token": mainToken}})
	w.create(groupPath+"/accounts", &v1alpha1.Account{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.AccountSpec{CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: "credentials"}, NamespaceSelector: &metav1.LabelSelector{}},
	})
	return w
}

const groupPath = "/apis/" + v1alpha1.Group + "/v1alpha1"

// request sends a request of a user. It is not a step.
func (w *world) request(method, path, contentType string, body []byte) (code int, answer []byte) {
	req := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{"Content-Type": {contentType}}}
	if body != nil {
		req.Body = readCloser{bytes.NewReader(body)}
	}
	return w.cluster.do(req)
}

type readCloser struct{ *bytes.Reader }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }

func (w *world) create(path string, obj runtime.Object) *unstructured.Unstructured {
	at, _ := parse(path)
	u := decode(encode(obj))
	u.SetAPIVersion(kinds[at.resource].apiVersion())
	u.SetKind(kinds[at.resource].name)
	code, body := w.request(http.MethodPost, path, "application/json", encode(u))
	if code != http.StatusCreated {
		panic(fmt.Sprintf("%s: %s", path, body))
	}
	return decode(body)
}

func (w *world) patch(path, merge string) {
	w.request(http.MethodPatch, path, string(types.MergePatchType), []byte(merge))
}

const subaccountPath = groupPath + "/namespaces/" + tenant + "/subaccounts/a"

func (w *world) apply() {
	w.uid = w.create(groupPath+"/namespaces/"+tenant+"/subaccounts", &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec:       v1alpha1.SubaccountSpec{Name: &w.wanted.name, Enabled: new(true)},
	}).GetUID()
}

// The actions of users.

func (w *world) rename() {
	w.mu.Lock()
	w.wanted.edits++
	w.wanted.name = fmt.Sprintf("Name %d", w.wanted.edits)
	name := w.wanted.name
	w.mu.Unlock()
	w.patch(subaccountPath, `{"spec":{"name":"`+name+`"}}`)
}

func (w *world) remove() {
	w.mu.Lock()
	w.wanted.removed = true
	w.mu.Unlock()
	w.request(http.MethodDelete, subaccountPath, "", nil)
}

func (w *world) isRemoved() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted.removed
}

func (w *world) changeAtPlivo() {
	w.sim.Edit(mainID, w.ours()[0].AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
}

func (w *world) suspend() {
	w.mu.Lock()
	w.resumeAt = time.Now().Add(20 * time.Second)
	w.mu.Unlock()
	w.patch(subaccountPath, `{"spec":{"suspend":true}}`)
}

// touch changes an object that a process is about to write, which causes a conflict.
func (w *world) touch(path string) {
	w.mu.Lock()
	w.wanted.edits++
	n := w.wanted.edits
	w.mu.Unlock()
	w.patch(strings.TrimSuffix(path, "/status"), fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, n))
}

// entry is one step in the trace of a life.
type entry struct {
	what      string
	nth       int    // number among the steps of its kind
	injection string // name of the injection at this step, or ""
	code      int    // status code of the response, 0 if there was none
}

func (e *entry) String() string {
	text := fmt.Sprintf("%s#%d", e.what, e.nth)
	if e.injection != "" {
		text += ":" + e.injection
	}
	return fmt.Sprintf("%s=%d", text, e.code)
}

// next records a step and returns the injection that is due at it.
func (w *world) next(what string) (*entry, *injection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[what]++
	e := &entry{what: what, nth: w.count[what]}
	if !w.recording {
		return e, nil
	}
	w.trace = append(w.trace, e)
	if len(w.due) == 0 || w.due[0].what != what || w.due[0].nth > e.nth {
		return e, nil
	}
	i := w.due[0].injection
	w.due = w.due[1:]
	e.injection = i.name
	return e, i
}

// send sends a request to the simulated Plivo, and then checks that at most one subaccount
// is usable.
func (w *world) send(req *http.Request) (*http.Response, error) {
	resp, err := inprocess.Transport{Handler: w.sim}.RoundTrip(req)
	var usable int
	for _, x := range w.ours() {
		if x.Enabled || !strings.HasPrefix(x.Name, "k8s-0a1b2c3d-") {
			usable++
		}
	}
	if usable > 1 {
		w.mu.Lock()
		w.broken = fmt.Errorf("got %d usable subaccounts after %s %s, want at most 1", usable, req.Method, req.URL.Path)
		w.mu.Unlock()
	}
	return resp, err
}

// ours returns the subaccounts at Plivo except the strangers.
func (w *world) ours() []plivosim.Subaccount {
	return slices.DeleteFunc(w.sim.Subaccounts(mainID), func(x plivosim.Subaccount) bool {
		return slices.ContainsFunc(w.strangers, func(s plivosim.Subaccount) bool { return s.AuthID == x.AuthID })
	})
}
