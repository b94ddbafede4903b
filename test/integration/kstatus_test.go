package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// Whatever the specs do: kstatus, by its own library, and Argo CD's health, by
// the shipped scripts, say of every version of every Subaccount and Account
// what its conditions say.
var states = &witness{lives: map[string][]string{}}

var (
	_ = BeforeEach(func() { states.once.Do(states.start) })
	_ = AfterEach(func() { Expect(states.complaints()).To(BeEmpty()) })
)

// witness watches both kinds from its start on.
type witness struct {
	once   sync.Once
	health healthScripts

	mu    sync.Mutex
	lives map[string][]string // what a resource went through, without repetitions
	amiss []string
}

func (w *witness) start() {
	w.health = readHealthScripts()
	resources, err := dynamic.NewForConfig(plane.Config)
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"subaccounts", "accounts"} {
		resource := resources.Resource(v1alpha1.GroupVersion.WithResource(name))
		all, err := resource.List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for i := range all.Items {
			w.see(watch.Event{Type: watch.Added, Object: &all.Items[i]})
		}
		// The API server ends a watch that falls behind. This one goes on from the last version.
		versions, err := watchtools.NewRetryWatcherWithContext(watching, all.GetResourceVersion(), &cache.ListWatch{
			WatchFuncWithContext: resource.Watch,
		})
		Expect(err).NotTo(HaveOccurred())
		go func() {
			for event := range versions.ResultChan() {
				w.see(event)
			}
			w.complain("the watch of %s has ended", name) // as it does after the last spec
		}()
	}
}

func (w *witness) see(event watch.Event) {
	obj, ok := event.Object.(*unstructured.Unstructured)
	if !ok {
		w.complain("the watch says: %v", event.Object)
	}
	if !ok || event.Type == watch.Deleted {
		return
	}
	state, err := w.judge(obj)
	if err != nil {
		w.complain("%s %s/%s, version %s: %v", obj.GetKind(), obj.GetNamespace(), obj.GetName(), obj.GetResourceVersion(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := lifeOf(obj)
	if life := w.lives[key]; len(life) == 0 || life[len(life)-1] != state {
		w.lives[key] = append(life, state)
	}
}

func (w *witness) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.amiss = append(w.amiss, fmt.Sprintf(format, args...))
}

func lifeOf(obj client.Object) string { return string(obj.GetUID()) }

// judge returns what kstatus and Argo CD make of an object, and an error if
// that is not what the conditions say.
func (w *witness) judge(obj *unstructured.Unstructured) (state string, err error) {
	result, err := kstatus.Compute(obj)
	if err != nil {
		return "", err
	}
	health, message, err := w.health.run(obj)
	if err != nil {
		return "", err
	}
	state = string(result.Status) + "/" + health
	told, err := conditionsOf(obj)
	if err != nil {
		return state, err
	}
	if wantStatus, wantHealth := told.says(); string(wantStatus) != string(result.Status) || wantHealth != health {
		return state, fmt.Errorf("kstatus and Argo CD say %s, the conditions say %s/%s: %+v", state, wantStatus, wantHealth, told)
	}
	if !strings.Contains(message, told.reason) {
		return state, fmt.Errorf("Argo CD's message lacks the reason %s: %q", told.reason, message)
	}
	return state, told.catalogued()
}

// told is what a resource tells of itself.
type told struct {
	terminating, seen, suspended bool // seen: as it is now
	reason                       string
	states                       v1alpha1.States
}

func conditionsOf(obj *unstructured.Unstructured) (told, error) {
	// Both kinds have these fields.
	var a v1alpha1.Account
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"status": obj.Object["status"]}, &a); err != nil {
		return told{}, err
	}
	t := told{terminating: obj.GetDeletionTimestamp() != nil, seen: a.Status.ObservedGeneration == obj.GetGeneration()}
	t.suspended, _, _ = unstructured.NestedBool(obj.Object, "spec", "suspend")
	for kind, status := range map[string]*metav1.ConditionStatus{
		v1alpha1.ConditionReady: &t.states.Ready, v1alpha1.ConditionReconciling: &t.states.Reconciling, v1alpha1.ConditionStalled: &t.states.Stalled,
	} {
		if c := meta.FindStatusCondition(a.Status.Conditions, kind); c != nil {
			*status, t.reason = c.Status, c.Reason
		}
	}
	return t, nil
}

// says is what the conditions mean to who reads them as this project documents.
func (t told) says() (status kstatus.Status, health string) {
	switch {
	case t.terminating:
		return kstatus.TerminatingStatus, "Progressing"
	case t.suspended && t.reason == v1alpha1.ReasonSuspended:
		return kstatus.InProgressStatus, "Suspended" // the spec is not applied
	case !t.seen:
		return kstatus.InProgressStatus, "Progressing"
	case t.states.Stalled == metav1.ConditionTrue:
		return kstatus.FailedStatus, "Degraded"
	case t.states.Ready == metav1.ConditionTrue:
		return kstatus.CurrentStatus, "Healthy"
	default:
		return kstatus.InProgressStatus, "Progressing"
	}
}

// catalogued holds the states of the conditions against v1alpha1.StatesOf.
func (t told) catalogued() error {
	if t.reason == "" && t.states == (v1alpha1.States{}) {
		return nil // nobody has looked at it
	}
	want, ok := v1alpha1.StatesOf(t.reason)
	if want.Ready == "" {
		want.Ready = t.states.Ready
	}
	if !ok || want != t.states {
		return fmt.Errorf("%s is to be %+v and is %+v", t.reason, want, t.states)
	}
	return nil
}

func (w *witness) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	amiss := w.amiss
	w.amiss = nil // told once
	return amiss
}

// life is what a resource went through, as "kstatus/Argo CD's health".
func (w *witness) life(obj client.Object) func() []string {
	return func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.lives[lifeOf(obj)])
	}
}

var _ = Describe("What GitOps controllers see", func() {
	const (
		progresses = "InProgress/Progressing"
		current    = "Current/Healthy"
		failed     = "Failed/Degraded"
		suspended  = "InProgress/Suspended"
		terminates = "Terminating/Progressing"
	)

	It("of a Subaccount is in progress, current, failed, suspended, terminating, each when it is", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest, Text: `{"error":"no"}`})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Bad") })
		Eventually(reason(s)).Should(Equal("False/Rejected"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) })
		Eventually(reason(s)).Should(Equal("False/Suspended"))
		sim.ClearFaults()
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = nil })
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) })
		Eventually(reason(s)).Should(Equal("True/Suspended"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(reason(s)).Should(Equal("False/Suspended"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = nil })
		Eventually(gone(s)).Should(BeTrue())
		Eventually(states.life(s)).Should(Equal([]string{
			progresses, current,
			progresses, failed,
			progresses, suspended,
			progresses, current,
			progresses, suspended,
			terminates,
		}))
	})

	It("of an Account is in progress, current, failed, terminating, each when it is", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(reason(a)).Should(Equal("True/Ready"))
		edit(a, func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = map[string]string{"no key!": ""} })
		Eventually(reason(a)).Should(Equal("False/InvalidSpec"))
		edit(a, func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = nil })
		Eventually(reason(a)).Should(Equal("True/Ready"))
		s := w.apply("a")
		expectReady(s)
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(reason(a)).Should(Equal("False/InUse"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(gone(a)).Should(BeTrue())
		Eventually(states.life(a)).Should(Equal([]string{progresses, current, progresses, failed, progresses, current, terminates}))
	})
})
