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

// The rules of the protocol, said anew here and not in the core's words.
var rules = map[string]func(o *observation, d decision) (broken bool){
	"a held answer comes first": func(o *observation, d decision) bool {
		failed := o.Failure != nil && o.Failure.Step == plan.StepRecord
		return o.HeldResponse != nil && !failed && (d.Step != plan.StepRecord || d.AuthID != o.HeldResponse.AuthID)
	},
	"nothing goes before an answer whose record has failed": func(o *observation, d decision) bool {
		f := o.Failure
		return o.HeldResponse != nil && f != nil && f.Step == plan.StepRecord && d.Step != plan.StepNone
	},
	"no remote step while suspended": func(o *observation, d decision) bool {
		s := o.Object.Spec.Suspend
		return s != nil && *s && remoteStep(d.Step)
	},
	"suspended, only a record, an orphan and a release are written": func(o *observation, d decision) bool {
		s := o.Object.Spec.Suspend
		return s != nil && *s && !slices.Contains([]plan.Step{"", plan.StepRecord, plan.StepClearIntent,
			plan.StepReadCRD, plan.StepRecordOrphan, plan.StepRemoveFinalizer}, d.Step)
	},
	"no remote step without a usable Account": func(o *observation, d decision) bool {
		a, ok := o.Account.Get()
		return remoteStep(d.Step) && (!ok || a.ID == "" || a.Blocked != "")
	},
	"nothing is sent through another main account": func(o *observation, d decision) bool {
		a, _ := o.Account.Get()
		recorded := o.Object.Status.AccountID
		if p := o.Object.Status.PendingCreation; p != nil {
			recorded = p.AccountID
		}
		return remoteStep(d.Step) && recorded != "" && recorded != a.ID
	},
	"no creation on unknown facts": func(o *observation, d decision) bool { return creates(d.Step) && !clearToCreate(o) },
	"an intent is declared only where nothing is": func(o *observation, d decision) bool {
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
	"only the call of the intent just written is sent": func(o *observation, d decision) bool {
		p := o.Object.Status.PendingCreation
		return d.Step == plan.StepCreate && (p == nil || p.Attempt != o.DeclaredAttempt)
	},
	"a create call is sent only under the finalizer and a status": func(o *observation, d decision) bool {
		return d.Step == plan.StepCreate && !begunRightly(o)
	},
	"no creation for a terminating resource or one whose status is lost": func(o *observation, d decision) bool {
		return creates(d.Step) && (o.Object.DeletionTimestamp != nil || lost(o))
	},
	"a release has a ground": func(o *observation, d decision) bool {
		return d.Step == plan.StepRemoveFinalizer && !mayRelease(o)
	},
	"nothing is left at Plivo that could be removed as a stray": func(o *observation, d decision) bool {
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
	"a delete needs a claim and a terminating resource, and no Orphan": func(o *observation, d decision) bool {
		c, _ := o.Claim.Get()
		return d.Step == plan.StepDelete && (!c.Ours || o.Object.DeletionTimestamp == nil || d.AuthID != o.Object.Status.AuthID ||
			o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan || !plan.Is(o.CRDTerminating, false) && !o.CRDTerminating.IsAbsent())
	},
	"nothing is deleted or left at Plivo by a policy that the Account may not allow": func(o *observation, d decision) bool {
		leaves := d.Step == plan.StepRemoveFinalizer && o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan && o.Object.Status.AuthID != "" &&
			!plan.Is(o.CRDTerminating, true) && !o.Deleted
		return (leaves || d.Step == plan.StepDelete) && !mayUsePolicies(o)
	},
	"no credentials and no update without the claim": func(o *observation, d decision) bool {
		c, _ := o.Claim.Get()
		return (d.Step == plan.StepWriteSecret || d.Step == plan.StepUpdate || d.Step == plan.StepAdopt) && !c.Ours
	},
	"a Secret of another is never written or removed": func(o *observation, d decision) bool {
		s, ok := o.Secret.Get()
		return d.Step == plan.StepWriteSecret && (o.Secret.IsUnknown() || ok && !s.Owned) ||
			d.Step == plan.StepRemoveSecret && !s.Owned && o.ObsoleteSecret != d.Secret
	},
	"an update that keeps what the spec leaves open follows a read": func(o *observation, d decision) bool {
		spec := o.Object.Spec
		leavesOpen := spec.AuthID != nil && (spec.Name == nil || spec.Enabled == nil)
		return d.Step == plan.StepUpdate && leavesOpen && (!o.Fetched || o.Remote.IsUnknown())
	},
	"one look in a pass": func(o *observation, d decision) bool { return d.Step == plan.StepGet && o.Fetched },
}

func mayUsePolicies(o *observation) bool {
	a, known := o.Allowed.Get()
	deletion := o.Object.Spec.DeletionPolicy
	if deletion == "" {
		deletion = v1alpha1.DeletionPolicyDelete
	}
	return o.Allowed.IsAbsent() || known && (a.Deletion == nil || slices.Contains(a.Deletion, deletion)) &&
		(a.Cascade == nil || slices.Contains(a.Cascade, o.Object.Spec.CascadePolicy))
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
	s, secret := o.Secret.Get()
	return account && !a.Terminating && plan.Is(a.AllowsNamespace, true) && namespace && !n.Terminating &&
		!o.Secret.IsUnknown() && (!secret || s.Owned)
}

func begunRightly(o *observation) bool {
	return slices.Contains(o.Object.Finalizers, v1alpha1.Finalizer) && o.Object.Status.ObservedGeneration != -1
}

// madeNothing: the pending attempt is known to have made nothing.
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

// gone: all that it takes to give up a subaccount that was recorded. Two
// complete sweeps an interval apart lack it, a 404 came a settle time before the
// second one, and another after it.
func gone(o *observation) bool {
	a, n := accountOf(o), o.NotFound
	second, swept := o.LastSweep.Get()
	return o.Object.Spec.AuthID == nil && o.Object.Spec.RecreatePolicy != v1alpha1.RecreatePolicyNever &&
		o.Remote.IsAbsent() && !a.GuardOn && swept && a.ID != "" && !n.First.IsZero() && !n.MissingSince.IsZero() &&
		second.Started.Sub(n.MissingSince) >= a.SweepInterval && second.Started.Sub(n.First) >= settle && n.Last.After(second.Started)
}

func accountOf(o *observation) plan.Account { a, _ := o.Account.Get(); return a }

func mayRelease(o *observation) bool {
	s := o.Object.Status
	if o.Object.DeletionTimestamp == nil {
		return false
	}
	if plan.Is(o.CRDTerminating, true) || o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan {
		return true
	}
	if lost(o) || s.PendingCreation != nil && !madeNothing(o) {
		return false
	}
	c, judged := o.Claim.Get()
	sweep, swept := o.LastSweep.Get()
	a := accountOf(o)
	return s.AuthID == "" || o.Deleted || judged && !c.Ours ||
		swept && a.ID != "" && !o.NotFound.First.IsZero() && sweep.Started.After(o.NotFound.First) && o.NotFound.Last.After(sweep.Started) && o.Remote.IsAbsent() && !a.GuardOn
}

// exact compares whole observations, unexported fields of facts included.
var exact = cmp.Exporter(func(t reflect.Type) bool { return t.PkgPath() == reflect.TypeFor[observation]().PkgPath() })

func checkRules(t *rapid.T) {
	o := observations.Draw(t, "o")
	before := copyOf(o)
	d := plan.Decide(o)
	if again := plan.Decide(o); again != d {
		t.Fatalf("decided %+v, then %+v", d, again)
	}
	s := plan.Summarize(o, d)
	plan.NeedsReconcile(o)
	if diff := cmp.Diff(before, o, exact); diff != "" {
		t.Fatalf("the observation has changed: %s", diff)
	}
	for name, broken := range rules {
		if broken(o, d) {
			t.Errorf("%s: decided %+v", name, d)
		}
	}
	checkSummary(t, o, d, s)
}

func checkSummary(t *rapid.T, o *observation, d decision, s plan.Summary) {
	was := o.Object.Status
	if s.Status.PreviousAuthID != was.PreviousAuthID || s.Status.AuthID != was.AuthID || s.Status.AccountID != was.AccountID ||
		!equality.Semantic.DeepEqual(s.Status.PendingCreation, was.PendingCreation) {
		t.Errorf("the protocol's fields have changed: %+v", s.Status)
	}
	if meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReconciling) &&
		meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("both Reconciling and Stalled with %q", d.Reason)
	}
	terminating := o.Object.DeletionTimestamp != nil
	if ready := meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady); ready && terminating {
		t.Errorf("a terminating resource is Ready")
	}
	if d.Reason == "" && !terminating && (!equality.Semantic.DeepEqual(s.Status.Conditions, was.Conditions) || s.Status.ObservedGeneration != was.ObservedGeneration) {
		t.Errorf("a quiet decision has changed conditions")
	}
	if d.Reason == v1alpha1.ReasonSuspended && s.Status.ObservedGeneration != was.ObservedGeneration {
		t.Errorf("a suspended resource claims generation %d", s.Status.ObservedGeneration)
	}
	if r := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); d.Reason == v1alpha1.ReasonSuspended &&
		r.Status == metav1.ConditionTrue && r.ObservedGeneration != meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionReady).ObservedGeneration {
		t.Errorf("a suspended resource is Ready for generation %d", r.ObservedGeneration)
	}
	if lost(o) && s.Status.ObservedGeneration != -1 {
		t.Errorf("the loss of the status is hidden by %q", d.Reason)
	}
	if s.Changed == equality.Semantic.DeepEqual(s.Status, was) {
		t.Errorf("changed: %v", s.Changed)
	}
	if _, ok := v1alpha1.StatesOf(d.Reason); d.Reason != "" && !ok {
		t.Errorf("%q is not in the catalogue", d.Reason)
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

func TestRulesHoldForAnyObservation(t *testing.T) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && !t.Failed(); {
		rapid.Check(t, checkRules)
	}
}

// The rules would hold idly if no observation led to the steps that they speak of.
func TestObservationsLeadToEveryStep(t *testing.T) {
	seen := map[plan.Step]int{}
	for seed := range 30_000 {
		o := observations.Example(seed)
		seen[plan.Decide(o).Step]++
	}
	for _, s := range steps {
		if seen[s] == 0 {
			t.Errorf("%s is never decided", s)
		}
	}
	t.Log(seen)
}

func FuzzDecide(f *testing.F) {
	// An input that is too short for an observation is passed over.
	for seed := range byte(16) {
		bits := make([]byte, 8<<10)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(bits) // never fails
		f.Add(bits)
	}
	f.Fuzz(rapid.MakeFuzz(checkRules))
}
