// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// rules states the rules of the protocol independently of the checks in decide.go.
var rules = map[string]func(o *observation, d decision) (broken bool){
	"a held response is recorded first": func(o *observation, d decision) bool {
		failed := o.Failure != nil && o.Failure.Step == plan.StepRecord
		recorded := o.HeldResponse != nil && d.Step == plan.StepRecord && d.AuthID == o.HeldResponse.AuthID
		return o.HeldResponse != nil && !failed && !recorded
	},
	"no step follows a held response that could not be recorded": func(o *observation, d decision) bool {
		f := o.Failure
		return o.HeldResponse != nil && f != nil && f.Step == plan.StepRecord && d.Step != plan.StepNone
	},
	"no remote step while suspended": func(o *observation, d decision) bool {
		s := o.Object.Spec.Suspend
		return s != nil && *s && remoteStep(d.Step)
	},
	"a suspended resource gets only a record, an orphan entry or its finalizer removed": func(o *observation, d decision) bool {
		s := o.Object.Spec.Suspend
		return s != nil && *s && !slices.Contains([]plan.Step{"", plan.StepRecord, plan.StepClearIntent,
			plan.StepReadCRD, plan.StepRecordOrphan, plan.StepRemoveFinalizer}, d.Step)
	},
	"no remote step without a usable Account": func(o *observation, d decision) bool {
		a, ok := o.Account.Get()
		usable := ok && a.ID != "" && a.Blocked == ""
		return remoteStep(d.Step) && !usable
	},
	"no call goes to another main account": func(o *observation, d decision) bool {
		a, _ := o.Account.Get()
		recorded := o.Object.Status.AccountID
		if p := o.Object.Status.PendingCreation; p != nil {
			recorded = p.AccountID
		}
		return remoteStep(d.Step) && recorded != "" && recorded != a.ID
	},
	"no creation on unknown facts": func(o *observation, d decision) bool { return creates(d.Step) && !clearToCreate(o) },
	"an intent is declared only if nothing exists": func(o *observation, d decision) bool {
		if d.Step != plan.StepDeclareIntent {
			return false
		}
		switch {
		case o.Object.Status.PendingCreation != nil:
			return !madeNothing(o)
		case o.Object.Status.AuthID != "":
			return !gone(o)
		default:
			return o.Object.Spec.AuthID != nil
		}
	},
	"only the create call of the declared attempt is sent": func(o *observation, d decision) bool {
		p := o.Object.Status.PendingCreation
		declared := p != nil && p.Attempt == o.DeclaredAttempt
		return d.Step == plan.StepCreate && !declared
	},
	"a create call needs the finalizer and observedGeneration": func(o *observation, d decision) bool {
		return d.Step == plan.StepCreate && !begunRightly(o)
	},
	"no creation for a terminating resource or a lost status": func(o *observation, d decision) bool {
		creatable := o.Object.DeletionTimestamp == nil && !lost(o)
		return creates(d.Step) && !creatable
	},
	"the finalizer is removed only for a reason": func(o *observation, d decision) bool {
		return d.Step == plan.StepRemoveFinalizer && !mayRemoveFinalizer(o)
	},
	"an orphan with a marker name is recorded before the finalizer goes": func(o *observation, d decision) bool {
		r, known := o.Remote.Get()
		name := o.Object.Status.Name
		mayBeMarked := name == nil || *name == marker
		if known && !r.UpdateUnconfirmed {
			mayBeMarked = r.Name == marker
		}
		left := o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan || plan.Is(o.CRDTerminating, true)
		return d.Step == plan.StepRemoveFinalizer && left && o.Object.Status.AuthID != "" && mayBeMarked &&
			!slices.Contains(o.Performed, plan.StepRecordOrphan)
	},
	"a delete call needs a claim, a terminating resource and no Orphan": func(o *observation, d decision) bool {
		c, _ := o.Claim.Get()
		crdStays := plan.Is(o.CRDTerminating, false) || o.CRDTerminating.IsAbsent()
		deletable := c.Ours && o.Object.DeletionTimestamp != nil && d.AuthID == o.Object.Status.AuthID &&
			o.Object.Spec.DeletionPolicy != v1alpha1.DeletionPolicyOrphan && crdStays
		return d.Step == plan.StepDelete && !deletable
	},
	"a deletion follows only a policy that the Account allows": func(o *observation, d decision) bool {
		leaves := d.Step == plan.StepRemoveFinalizer && o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan && o.Object.Status.AuthID != "" &&
			!plan.Is(o.CRDTerminating, true) && !o.Deleted
		ends := leaves || d.Step == plan.StepDelete
		return ends && !mayUsePolicies(o)
	},
	"no Secret, update or adoption without the claim": func(o *observation, d decision) bool {
		c, _ := o.Claim.Get()
		return slices.Contains([]plan.Step{plan.StepWriteSecret, plan.StepUpdate, plan.StepAdopt}, d.Step) && !c.Ours
	},
	"a Secret of another owner is never written or deleted": func(o *observation, d decision) bool {
		s, _ := o.Secret.Get()
		writable := o.Secret.IsAbsent() || s.Owned
		removable := s.Owned || o.ObsoleteSecret == d.Secret
		switch d.Step {
		case plan.StepWriteSecret:
			return !writable
		case plan.StepRemoveSecret:
			return !removable
		default:
			return false
		}
	},
	"an update with an omitted field follows a read": func(o *observation, d decision) bool {
		spec := o.Object.Spec
		omits := spec.Name == nil || spec.Enabled == nil
		fetched := o.Fetched && !o.Remote.IsUnknown()
		return d.Step == plan.StepUpdate && spec.AuthID != nil && omits && !fetched
	},
	"at most one get in a reconcile": func(o *observation, d decision) bool { return d.Step == plan.StepGet && o.Fetched },
}

func mayUsePolicies(o *observation) bool {
	a, known := o.Allowed.Get()
	deletion := o.Object.Spec.DeletionPolicy
	if deletion == "" {
		deletion = v1alpha1.DeletionPolicyDelete
	}
	allowsDeletion := a.Deletion == nil || slices.Contains(a.Deletion, deletion)
	allowsCascade := a.Cascade == nil || slices.Contains(a.Cascade, o.Object.Spec.CascadePolicy)
	allowsBoth := known && allowsDeletion && allowsCascade
	return o.Allowed.IsAbsent() || allowsBoth
}

func remoteStep(s plan.Step) bool {
	return slices.Contains([]plan.Step{plan.StepGet, plan.StepCreate, plan.StepUpdate,
		plan.StepDelete, plan.StepDeclareIntent}, s)
}

func creates(s plan.Step) bool {
	return s == plan.StepCreate || s == plan.StepDeclareIntent
}

func lost(o *observation) bool {
	return slices.Contains(o.Object.Finalizers, v1alpha1.Finalizer) && o.Object.Status.ObservedGeneration == -1
}

func clearToCreate(o *observation) bool {
	a, account := o.Account.Get()
	n, namespace := o.Namespace.Get()
	s, _ := o.Secret.Get()
	writable := o.Secret.IsAbsent() || s.Owned
	return account && !a.Terminating && plan.Is(a.AllowsNamespace, true) && namespace && !n.Terminating && writable
}

func begunRightly(o *observation) bool {
	return slices.Contains(o.Object.Finalizers, v1alpha1.Finalizer) && o.Object.Status.ObservedGeneration != -1
}

// madeNothing says whether it is certain that the pending attempt created nothing.
func madeNothing(o *observation) bool {
	a, _ := o.Account.Get()
	p := o.Object.Status.PendingCreation
	if p.Attempt == o.DeclaredAttempt || p.Attempt == o.RefusedAttempt {
		return true
	}
	sweep, swept := o.LastSweep.Get()
	return swept && a.ID == p.AccountID && !a.GuardOn && len(o.FoundByMarker) == 0 &&
		!o.PendingSince.IsZero() && sweep.Started.After(o.PendingSince.Add(settle))
}

// gone says whether it is certain that a recorded subaccount is missing: two
// complete sweeps, an interval apart, lack it. A 404 came a settle time before the
// second sweep, and another one after it.
func gone(o *observation) bool {
	a, n := accountOf(o), o.NotFound
	second, swept := o.LastSweep.Get()
	return o.Object.Spec.AuthID == nil && o.Object.Spec.RecreatePolicy != v1alpha1.RecreatePolicyNever &&
		o.Remote.IsAbsent() && !a.GuardOn && swept && a.ID != "" && !n.First.IsZero() && !n.MissingSince.IsZero() &&
		second.Started.Sub(n.MissingSince) >= a.SweepInterval && second.Started.Sub(n.First) >= settle && n.Last.After(second.Started)
}

func accountOf(o *observation) plan.Account { a, _ := o.Account.Get(); return a }

func mayRemoveFinalizer(o *observation) bool {
	s := o.Object.Status
	if o.Object.DeletionTimestamp == nil {
		return false
	}
	if plan.Is(o.CRDTerminating, true) || o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan {
		return true
	}
	unconfirmed := s.PendingCreation != nil && !madeNothing(o)
	if lost(o) || unconfirmed {
		return false
	}
	c, known := o.Claim.Get()
	sweep, swept := o.LastSweep.Get()
	a := accountOf(o)
	isAnothers := known && !c.Ours
	isConfirmed := swept && a.ID != "" && !o.NotFound.First.IsZero() && sweep.Started.After(o.NotFound.First) &&
		o.NotFound.Last.After(sweep.Started) && o.Remote.IsAbsent() && !a.GuardOn
	return s.AuthID == "" || o.Deleted || isAnothers || isConfirmed
}

// exact compares whole observations, unexported fields of facts included.
var exact = cmp.Exporter(func(t reflect.Type) bool { return t.PkgPath() == reflect.TypeFor[observation]().PkgPath() })

func checkRules(t *rapid.T) {
	o := observations.Draw(t, "o")
	before := copyOf(o)
	d := plan.Decide(o)
	if again := plan.Decide(o); again != d {
		t.Fatalf("second decision: got %+v, want %+v", again, d)
	}
	s := plan.Summarize(o, d)
	plan.NeedsReconcile(o)
	if diff := cmp.Diff(before, o, exact); diff != "" {
		t.Fatalf("Decide or Summarize changed the observation: %s", diff)
	}
	for name, broken := range rules {
		if broken(o, d) {
			t.Errorf("rule %q broken by %+v", name, d)
		}
	}
	checkSummary(t, o, d, s)
}

func checkSummary(t *rapid.T, o *observation, d decision, s plan.Summary) {
	was := o.Object.Status
	if s.Status.PreviousAuthID != was.PreviousAuthID || s.Status.AuthID != was.AuthID || s.Status.AccountID != was.AccountID ||
		!equality.Semantic.DeepEqual(s.Status.PendingCreation, was.PendingCreation) {
		t.Errorf("Summarize changed the fields of the protocol: %+v", s.Status)
	}
	if meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReconciling) &&
		meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("got both Reconciling and Stalled with %q, want at most one", d.Reason)
	}
	terminating := o.Object.DeletionTimestamp != nil
	if ready := meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady); ready && terminating {
		t.Errorf("got Ready for a terminating resource")
	}
	unchanged := equality.Semantic.DeepEqual(s.Status.Conditions, was.Conditions) && s.Status.ObservedGeneration == was.ObservedGeneration
	if d.Reason == "" && !terminating && !unchanged {
		t.Errorf("a decision without a reason changed the conditions")
	}
	if d.Reason == v1alpha1.ReasonSuspended && s.Status.ObservedGeneration != was.ObservedGeneration {
		t.Errorf("got observedGeneration %d for a suspended resource", s.Status.ObservedGeneration)
	}
	if r := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); d.Reason == v1alpha1.ReasonSuspended &&
		r.Status == metav1.ConditionTrue && r.ObservedGeneration != meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionReady).ObservedGeneration {
		t.Errorf("got Ready for generation %d of a suspended resource", r.ObservedGeneration)
	}
	if lost(o) && s.Status.ObservedGeneration != -1 {
		t.Errorf("reason %q hides the lost status", d.Reason)
	}
	if s.Changed == equality.Semantic.DeepEqual(s.Status, was) {
		t.Errorf("got Changed %v, want %v", s.Changed, !s.Changed)
	}
	if _, ok := v1alpha1.StatesOf(d.Reason); d.Reason != "" && !ok {
		t.Errorf("got reason %q, want one that v1alpha1.StatesOf has", d.Reason)
	}
}

func copyOf(o *observation) *observation {
	c := *o
	c.Object = o.Object.DeepCopy()
	c.FoundByMarker, c.Performed = slices.Clone(o.FoundByMarker), slices.Clone(o.Performed)
	if o.HeldResponse != nil {
		c.HeldResponse = new(*o.HeldResponse)
	}
	if o.Failure != nil {
		c.Failure = new(*o.Failure)
	}
	return &c
}

func TestDecide_AnyObservation_KeepsTheRules(t *testing.T) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && !t.Failed(); {
		rapid.Check(t, checkRules)
	}
}

// Without an observation that leads to a step, the rules about that step prove nothing.
func TestDecide_GeneratedObservations_ReachEveryStep(t *testing.T) {
	seen := map[plan.Step]int{}
	for seed := range 30_000 {
		o := observations.Example(seed)
		seen[plan.Decide(o).Step]++
	}
	for _, s := range steps {
		if seen[s] == 0 {
			t.Errorf("got no decision for the step %s, want at least one", s)
		}
	}
	t.Log(seen)
}

func FuzzDecide(f *testing.F) {
	// rapid skips an input that is too short for an observation.
	for seed := range byte(16) {
		bits := make([]byte, 8<<10)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(bits) // never fails
		f.Add(bits)
	}
	f.Fuzz(rapid.MakeFuzz(checkRules))
}
