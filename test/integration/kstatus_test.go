// SPDX-License-Identifier: Apache-2.0

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
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// states checks every version of every Subaccount and Account in all specs: kstatus's
// library and Argo CD's health scripts must agree with the conditions.
var states = &stateRecorder{histories: map[string][]string{}}

var (
	_ = BeforeEach(func() { states.once.Do(states.start) })
	_ = AfterEach(func() { Expect(states.takeErrors()).To(BeEmpty()) })
)

// stateRecorder watches both kinds.
type stateRecorder struct {
	once   sync.Once
	health healthScripts

	mu        sync.Mutex
	histories map[string][]string // the states of each resource, without repetitions
	errors    []string
}

func (r *stateRecorder) start() {
	r.health = readHealthScripts()
	resources, err := dynamic.NewForConfig(plane.Config)
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"subaccounts", "accounts"} {
		resource := resources.Resource(v1alpha1.GroupVersion.WithResource(name))
		all, err := resource.List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for i := range all.Items {
			r.record(watch.Event{Type: watch.Added, Object: &all.Items[i]})
		}
		// The API server ends a watch that falls behind. A RetryWatcher resumes from the last version.
		versions, err := watchtools.NewRetryWatcherWithContext(watching, all.GetResourceVersion(), &cache.ListWatch{
			WatchFuncWithContext: resource.Watch,
		})
		Expect(err).NotTo(HaveOccurred())
		go func() {
			for event := range versions.ResultChan() {
				r.record(event)
			}
			r.addError("the watch of %s has ended", name) // expected only after the last spec
		}()
	}
}

func (r *stateRecorder) record(event watch.Event) {
	obj, isObject := event.Object.(*unstructured.Unstructured)
	if !isObject {
		r.addError("watch event without an object: %v", event.Object)
		return
	}
	if event.Type == watch.Deleted {
		return
	}
	state, err := r.stateOf(obj)
	if err != nil {
		r.addError("%s %s/%s, version %s: %v", obj.GetKind(), obj.GetNamespace(), obj.GetName(), obj.GetResourceVersion(), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := historyKey(obj)
	if history := r.histories[key]; len(history) == 0 || history[len(history)-1] != state {
		r.histories[key] = append(history, state)
	}
}

func (r *stateRecorder) addError(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func historyKey(obj client.Object) string { return string(obj.GetUID()) }

// stateOf returns the object's state according to kstatus and Argo CD, such as
// "Current/Healthy", and an error if its conditions mean another state.
func (r *stateRecorder) stateOf(obj *unstructured.Unstructured) (state string, err error) {
	result, err := kstatus.Compute(obj)
	if err != nil {
		return "", err
	}
	health, message, err := r.health.run(obj)
	if err != nil {
		return "", err
	}
	state = string(result.Status) + "/" + health
	reported, err := conditionsOf(obj)
	if err != nil {
		return state, err
	}
	if want := reported.expectedState(); state != want {
		return state, fmt.Errorf("got %s from kstatus and Argo CD, want %s for the conditions %+v", state, want, reported)
	}
	if !strings.Contains(message, reported.reason) {
		return state, fmt.Errorf("got Argo CD's message %q, want one with the reason %s", message, reported.reason)
	}
	return state, reported.matchCatalogue()
}

// reportedState is what a resource's metadata, spec and conditions report.
type reportedState struct {
	terminating, isCurrent, suspended bool // isCurrent: the status is of the current generation
	reason                            string
	states                            v1alpha1.States
}

func conditionsOf(obj *unstructured.Unstructured) (reportedState, error) {
	// Both kinds have these fields.
	var a v1alpha1.Account
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"status": obj.Object["status"]}, &a); err != nil {
		return reportedState{}, err
	}
	s := reportedState{terminating: obj.GetDeletionTimestamp() != nil, isCurrent: a.Status.ObservedGeneration == obj.GetGeneration()}
	s.suspended, _, _ = unstructured.NestedBool(obj.Object, "spec", "suspend")
	for kind, status := range map[string]*metav1.ConditionStatus{
		v1alpha1.ConditionReady: &s.states.Ready, v1alpha1.ConditionReconciling: &s.states.Reconciling, v1alpha1.ConditionStalled: &s.states.Stalled,
	} {
		if c := meta.FindStatusCondition(a.Status.Conditions, kind); c != nil {
			*status, s.reason = c.Status, c.Reason
		}
	}
	return s, nil
}

// expectedState is the state that docs/gitops.md promises for these conditions.
func (s reportedState) expectedState() string {
	state := func(status kstatus.Status, health string) string { return string(status) + "/" + health }
	switch {
	case s.terminating:
		return state(kstatus.TerminatingStatus, "Progressing")
	case s.suspended && s.reason == v1alpha1.ReasonSuspended:
		return state(kstatus.InProgressStatus, "Suspended") // the spec is not applied
	case !s.isCurrent:
		return state(kstatus.InProgressStatus, "Progressing")
	case s.states.Stalled == metav1.ConditionTrue:
		return state(kstatus.FailedStatus, "Degraded")
	case s.states.Ready == metav1.ConditionTrue:
		return state(kstatus.CurrentStatus, "Healthy")
	default:
		return state(kstatus.InProgressStatus, "Progressing")
	}
}

// matchCatalogue returns an error if the conditions differ from v1alpha1.StatesOf.
func (s reportedState) matchCatalogue() error {
	if s.reason == "" && s.states == (v1alpha1.States{}) {
		return nil // the resource was not reconciled yet
	}
	want, ok := v1alpha1.StatesOf(s.reason)
	if want.Ready == "" {
		want.Ready = s.states.Ready
	}
	if !ok || want != s.states {
		return fmt.Errorf("%s: got the conditions %+v, want %+v", s.reason, s.states, want)
	}
	return nil
}

func (r *stateRecorder) takeErrors() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	errors := r.errors
	r.errors = nil
	return errors
}

// history returns the states of a resource, each as "kstatus/Argo CD's health".
func (r *stateRecorder) history(obj client.Object) func() []string {
	return func() []string {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.Clone(r.histories[historyKey(obj)])
	}
}

var _ = Describe("kstatus and Argo CD health", func() {
	const (
		progresses = "InProgress/Progressing"
		current    = "Current/Healthy"
		failed     = "Failed/Degraded"
		suspended  = "InProgress/Suspended"
		terminates = "Terminating/Progressing"
	)

	It("of a Subaccount follow its conditions from creation to deletion", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest, Text: `{"error":"no"}`})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Bad") })
		Eventually(readyState(s)).Should(Equal("False/Rejected"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) })
		Eventually(readyState(s)).Should(Equal("False/Suspended"))
		sim.ClearFaults()
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = nil })
		expectReady(s)
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) })
		Eventually(readyState(s)).Should(Equal("True/Suspended"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(readyState(s)).Should(Equal("False/Suspended"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = nil })
		Eventually(isGone(s)).Should(BeTrue())
		Eventually(states.history(s)).Should(Equal([]string{
			progresses, current,
			progresses, failed,
			progresses, suspended,
			progresses, current,
			progresses, suspended,
			terminates,
		}))
	})

	It("of an Account follow its conditions from creation to deletion", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		edit(a, func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = map[string]string{"no key!": ""} })
		Eventually(readyState(a)).Should(Equal("False/InvalidSpec"))
		edit(a, func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = nil })
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		s := w.apply("a")
		expectReady(s)
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(readyState(a)).Should(Equal("False/InUse"))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(a)).Should(BeTrue())
		Eventually(states.history(a)).Should(Equal([]string{progresses, current, progresses, failed, progresses, current, terminates}))
	})
})
