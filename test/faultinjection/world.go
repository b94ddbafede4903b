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
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const (
	operatorNamespace = "operator"
	tenant            = "tenant"
	clusterUID        = "0a1b2c3d-0000-4000-8000-000000000000"
	mainID            = "MAWALKWALKWALKWALKWA"
	mainToken         = "the-main-account-s-token-of-the-fault-walk"
)

// world is one run: a cluster, a Plivo, and the processes that come and go.
type world struct {
	cluster *cluster
	sim     *plivosim.Server

	mu       sync.Mutex
	due      schedule
	count    map[string]int // of the steps so far, by kind
	trace    []*entry
	watching bool  // steps are counted
	broken   error // what must never be
	wanted   struct {
		name    string
		removed bool
		edits   int
	}
	resumeAt time.Time // somebody takes spec.suspend away again

	uid       types.UID
	processes int        // that were started
	process   *process   // the one that leads
	former    []*process // and those that do not know yet that they do not
	strangers []plivosim.Subaccount
}

var subaccountAt = target{subaccounts, tenant, "a"}

// newWorld has an Account that has been in use, with strangers at Plivo.
func newWorld(b backend, due schedule) *world {
	w := &world{cluster: newCluster(b), due: due, count: map[string]int{}, watching: true}
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

// request is made by somebody who is no process of ours.
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

// What people do meanwhile, and at any moment.

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

func (w *world) changeByHand() {
	w.sim.Edit(mainID, w.ours()[0].AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
}

func (w *world) suspend() {
	w.mu.Lock()
	w.resumeAt = time.Now().Add(20 * time.Second)
	w.mu.Unlock()
	w.patch(subaccountPath, `{"spec":{"suspend":true}}`)
}

// touch changes an object that a process is about to write.
func (w *world) touch(path string) {
	w.mu.Lock()
	w.wanted.edits++
	n := w.wanted.edits
	w.mu.Unlock()
	w.patch(strings.TrimSuffix(path, "/status"), fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, n))
}

// entry is one step in the trace of a life.
type entry struct {
	what  string
	nth   int    // of its kind
	fault string // that struck, if one did
	code  int    // of the answer, 0 if there was none
}

func (e *entry) String() string {
	text := fmt.Sprintf("%s#%d", e.what, e.nth)
	if e.fault != "" {
		text += ":" + e.fault
	}
	return fmt.Sprintf("%s=%d", text, e.code)
}

// next counts a step and says which fault is due at it.
func (w *world) next(what string) (*entry, *fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[what]++
	e := &entry{what: what, nth: w.count[what]}
	if !w.watching {
		return e, nil
	}
	w.trace = append(w.trace, e)
	if len(w.due) == 0 || w.due[0].what != what || w.due[0].nth > e.nth {
		return e, nil
	}
	f := w.due[0].fault
	w.due = w.due[1:]
	e.fault = f.name
	return e, f
}

// send has the simulated Plivo answer, and holds it against what must never be.
func (w *world) send(req *http.Request) (*http.Response, error) {
	resp, err := inprocess.Transport{Handler: w.sim}.RoundTrip(req)
	var named int
	for _, x := range w.ours() {
		if x.Enabled || !strings.HasPrefix(x.Name, "k8s-0a1b2c3d-") {
			named++
		}
	}
	if named > 1 {
		w.mu.Lock()
		w.broken = fmt.Errorf("%d subaccounts that can be used, after %s %s", named, req.Method, req.URL.Path)
		w.mu.Unlock()
	}
	return resp, err
}

// ours are the subaccounts at Plivo that are no strangers.
func (w *world) ours() []plivosim.Subaccount {
	return slices.DeleteFunc(w.sim.Subaccounts(mainID), func(x plivosim.Subaccount) bool {
		return slices.ContainsFunc(w.strangers, func(s plivosim.Subaccount) bool { return s.AuthID == x.AuthID })
	})
}
