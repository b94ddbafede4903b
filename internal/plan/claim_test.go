package plan_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// claimant is a Subaccount of a UID and an age, whose status names sa1.
func claimant(uid types.UID, age time.Duration, changes ...func(*v1alpha1.Subaccount)) v1alpha1.Subaccount {
	s := v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{UID: uid, CreationTimestamp: metav1.NewTime(base.Add(-age))}}
	s.Status.AuthID = sa1
	for _, c := range changes {
		c(&s)
	}
	return s
}

func wants(s *v1alpha1.Subaccount)     { s.Spec.AuthID, s.Status.AuthID = new(sa1), "" }
func adopts(s *v1alpha1.Subaccount)    { s.Spec.AuthID = new(sa1) }
func handedOut(s *v1alpha1.Subaccount) { s.Status.Binding = &v1alpha1.SecretBinding{Name: "a"} }
func dying(s *v1alpha1.Subaccount)     { s.DeletionTimestamp = new(metav1.NewTime(base)) }
func other(s *v1alpha1.Subaccount)     { s.Status.AuthID = "SA2" }

func TestHolds(t *testing.T) {
	for _, r := range []struct {
		name string
		s    v1alpha1.Subaccount
		all  []v1alpha1.Subaccount
		want bool
	}{
		{"alone", claimant("m", 0), []v1alpha1.Subaccount{claimant("m", 0), claimant("a", time.Hour, other)}, true},
		{"an elder has it", claimant("a", 0), []v1alpha1.Subaccount{claimant("a", 0), claimant("m", time.Second)}, false},
		{"a younger has it too", claimant("m", time.Second), []v1alpha1.Subaccount{claimant("a", 0), claimant("m", time.Second)}, true},
		{"of one age, a lower UID", claimant("m", 0), []v1alpha1.Subaccount{claimant("a", 0)}, false},
		{"of one age, a higher UID", claimant("m", 0), []v1alpha1.Subaccount{claimant("z", 0)}, true},
		{"wants it, nobody has it", claimant("m", 0, wants), []v1alpha1.Subaccount{claimant("z", time.Hour, other), claimant("a", time.Hour, wants)}, true},
		{"wants it, a younger has it", claimant("m", time.Hour, wants), []v1alpha1.Subaccount{claimant("z", 0)}, false},
	} {
		if got := plan.IsClaimHolder(&r.s, r.all); got != r.want {
			t.Errorf("%s: %v", r.name, got)
		}
	}
	// For good: of several at most one holds it, in whatever order they are asked.
	all := []v1alpha1.Subaccount{claimant("c", 0), claimant("a", 0), claimant("b", time.Second), claimant("d", 0, wants)}
	for i := range all {
		if got := plan.IsClaimHolder(&all[i], all); got != (all[i].UID == "b") {
			t.Errorf("%s: %v", all[i].UID, got)
		}
	}
}

func TestClaimSeen(t *testing.T) {
	ours, anothers, unknown := plan.Known(plan.Claim{Ours: true}), plan.Known(plan.Claim{}), plan.Unknown[plan.Claim]()
	elder, younger := claimant("z", time.Hour), claimant("z", -time.Hour)
	for _, r := range []struct {
		name   string
		s      v1alpha1.Subaccount
		rivals []v1alpha1.Subaccount
		judged bool
		want   plan.Fact[plan.Claim]
	}{
		{"made", claimant("m", 0), nil, false, ours},
		{"made, an elder names it", claimant("m", 0), []v1alpha1.Subaccount{elder}, false, anothers},
		{"made, a younger names it", claimant("m", 0), []v1alpha1.Subaccount{younger}, false, unknown},
		{"made, a younger names it, judged", claimant("m", 0), []v1alpha1.Subaccount{younger}, true, ours},
		{"adopted", claimant("m", 0, adopts), nil, false, unknown},
		{"adopted, judged", claimant("m", 0, adopts), nil, true, ours},
		{"adopted, judged, then an elder appears", claimant("m", 0, adopts), []v1alpha1.Subaccount{elder}, true, anothers},
		{"handed out", claimant("m", 0, adopts, handedOut), nil, false, ours},
		{"handed out, then an elder appears: let go of only by a live list", claimant("m", 0, adopts, handedOut), []v1alpha1.Subaccount{elder}, true, unknown},
		{"wants it", claimant("m", 0, wants), nil, false, unknown},
		{"wants it, taken", claimant("m", 0, wants), []v1alpha1.Subaccount{younger}, false, anothers},
		{"dying, an elder names it: nothing is deleted on a cache's word", claimant("m", 0, dying), []v1alpha1.Subaccount{elder}, false, unknown},
		{"dying, made", claimant("m", 0, dying), nil, false, ours},
	} {
		if got := plan.ClaimFromCache(&r.s, append(r.rivals, r.s), r.judged); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
}

func TestStrays(t *testing.T) {
	const cluster, uid = "c0ffee00-0000-4000-8000-000000000000", types.UID("01234567-89ab-cdef-0123-456789abcdef")
	mine := plan.Marker(cluster, uid)
	for name, want := range map[string]bool{
		mine: true, mine + "-mine": false, "k8s-c0ffee00": false, "K8S-c0ffee00-" + string(uid): false,
		plan.Marker("deadbeef-0000", uid): false, "": false,
	} {
		if got := plan.IsMarkerOfCluster(name, cluster); got != want {
			t.Errorf("%q is our marker: %v", name, got)
		}
	}
	owner := func(changes ...func(*v1alpha1.Subaccount)) []v1alpha1.Subaccount {
		return []v1alpha1.Subaccount{claimant(uid, 0, append([]func(*v1alpha1.Subaccount){other}, changes...)...)}
	}
	for _, r := range []struct {
		name    string
		live    []v1alpha1.Subaccount
		limited bool
		want    bool
	}{
		{"of nobody", nil, false, true},
		{"of nobody that a limited instance sees", nil, true, false},
		{"of one that has another", owner(), false, true},
		{"of one that has another, limited", owner(), true, true},
		{"claimed by its owner", []v1alpha1.Subaccount{claimant(uid, 0)}, false, false},
		{"claimed by somebody else", append(owner(), claimant("x", 0)), false, false},
		{"its owner is creating", owner(func(s *v1alpha1.Subaccount) { s.Status.AuthID = "" }), false, false},
		{"its owner is creating anew", owner(func(s *v1alpha1.Subaccount) { s.Status.PendingCreation = &v1alpha1.PendingCreation{} }), false, false},
	} {
		if got := slices.Contains(plan.Strays(map[string]string{sa1: mine}, r.live, r.limited), sa1); got != r.want {
			t.Errorf("%s: %v", r.name, got)
		}
	}
}
