// SPDX-License-Identifier: Apache-2.0

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

// claimant returns a Subaccount with a UID and an age, whose status has sa1.
func claimant(uid types.UID, age time.Duration, changes ...func(*v1alpha1.Subaccount)) v1alpha1.Subaccount {
	s := v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{UID: uid, CreationTimestamp: metav1.NewTime(base.Add(-age))}}
	s.Status.AuthID = sa1
	for _, c := range changes {
		c(&s)
	}
	return s
}

func wants(s *v1alpha1.Subaccount)               { s.Spec.AuthID, s.Status.AuthID = new(sa1), "" }
func adopts(s *v1alpha1.Subaccount)              { s.Spec.AuthID = new(sa1) }
func withSecret(s *v1alpha1.Subaccount)          { s.Status.Binding = &v1alpha1.SecretBinding{Name: "a"} }
func terminatingClaimant(s *v1alpha1.Subaccount) { s.DeletionTimestamp = new(metav1.NewTime(base)) }
func other(s *v1alpha1.Subaccount)               { s.Status.AuthID = "SA2" }

func TestIsClaimHolder_SeveralClaimants_OldestRecordedHolds(t *testing.T) {
	for _, r := range []struct {
		name string
		s    v1alpha1.Subaccount
		all  []v1alpha1.Subaccount
		want bool
	}{
		{"alone", claimant("m", 0), []v1alpha1.Subaccount{claimant("m", 0), claimant("a", time.Hour, other)}, true},
		{"an older one has it", claimant("a", 0), []v1alpha1.Subaccount{claimant("a", 0), claimant("m", time.Second)}, false},
		{"a younger one has it too", claimant("m", time.Second), []v1alpha1.Subaccount{claimant("a", 0), claimant("m", time.Second)}, true},
		{"same age, another has the lower UID", claimant("m", 0), []v1alpha1.Subaccount{claimant("a", 0)}, false},
		{"same age, another has the higher UID", claimant("m", 0), []v1alpha1.Subaccount{claimant("z", 0)}, true},
		{"only in the spec, no status has it", claimant("m", 0, wants), []v1alpha1.Subaccount{claimant("z", time.Hour, other), claimant("a", time.Hour, wants)}, true},
		{"only in the spec, the status of a younger one has it", claimant("m", time.Hour, wants), []v1alpha1.Subaccount{claimant("z", 0)}, false},
	} {
		if got := plan.IsClaimHolder(&r.s, r.all); got != r.want {
			t.Errorf("%s: got %v, want %v", r.name, got, r.want)
		}
	}
	// At most one of several holds it, in any order.
	all := []v1alpha1.Subaccount{claimant("c", 0), claimant("a", 0), claimant("b", time.Second), claimant("d", 0, wants)}
	for i := range all {
		if got := plan.IsClaimHolder(&all[i], all); got != (all[i].UID == "b") {
			t.Errorf("%s: got %v, want b alone to hold it", all[i].UID, got)
		}
	}
}

func TestClaimFromCache_UncertainClaim_IsUnknown(t *testing.T) {
	ours, anothers, unknown := plan.Known(plan.Claim{Ours: true}), plan.Known(plan.Claim{}), plan.Unknown[plan.Claim]()
	elder, younger := claimant("z", time.Hour), claimant("z", -time.Hour)
	for _, r := range []struct {
		name      string
		s         v1alpha1.Subaccount
		claimants []v1alpha1.Subaccount
		confirmed bool
		want      plan.Fact[plan.Claim]
	}{
		{"created", claimant("m", 0), nil, false, ours},
		{"created, an older one has it too", claimant("m", 0), []v1alpha1.Subaccount{elder}, false, anothers},
		{"created, a younger one has it too", claimant("m", 0), []v1alpha1.Subaccount{younger}, false, unknown},
		{"created, a younger one has it too, confirmed", claimant("m", 0), []v1alpha1.Subaccount{younger}, true, ours},
		{"adopted", claimant("m", 0, adopts), nil, false, unknown},
		{"adopted, confirmed", claimant("m", 0, adopts), nil, true, ours},
		{"adopted, confirmed, then an older one has it", claimant("m", 0, adopts), []v1alpha1.Subaccount{elder}, true, anothers},
		{"Secret written", claimant("m", 0, adopts, withSecret), nil, false, ours},
		{"Secret written, then an older one has it", claimant("m", 0, adopts, withSecret), []v1alpha1.Subaccount{elder}, true, unknown},
		{"only in the spec", claimant("m", 0, wants), nil, false, unknown},
		{"only in the spec, taken", claimant("m", 0, wants), []v1alpha1.Subaccount{younger}, false, anothers},
		{"terminating, an older one has it", claimant("m", 0, terminatingClaimant), []v1alpha1.Subaccount{elder}, false, unknown},
		{"terminating, created", claimant("m", 0, terminatingClaimant), nil, false, ours},
	} {
		if got := plan.ClaimFromCache(&r.s, append(r.claimants, r.s), r.confirmed); got != r.want {
			t.Errorf("%s: got %v, want %v", r.name, got, r.want)
		}
	}
}

func TestStrays_MarkerWithoutClaim_IsStray(t *testing.T) {
	const cluster, uid = "c0ffee00-0000-4000-8000-000000000000", types.UID("01234567-89ab-cdef-0123-456789abcdef")
	mine := plan.Marker(cluster, uid)
	for name, want := range map[string]bool{
		mine: true, mine + "-mine": false, "k8s-c0ffee00": false, "K8S-c0ffee00-" + string(uid): false,
		plan.Marker("deadbeef-0000", uid): false, "": false,
	} {
		if got := plan.IsMarkerOfCluster(name, cluster); got != want {
			t.Errorf("IsMarkerOfCluster(%q): got %v, want %v", name, got, want)
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
		{"no owner", nil, false, true},
		{"no owner, limited", nil, true, false},
		{"owner has another authID", owner(), false, true},
		{"owner has another authID, limited", owner(), true, true},
		{"claimed by its owner", []v1alpha1.Subaccount{claimant(uid, 0)}, false, false},
		{"claimed by another", append(owner(), claimant("x", 0)), false, false},
		{"owner is creating", owner(func(s *v1alpha1.Subaccount) { s.Status.AuthID = "" }), false, false},
		{"owner is recreating", owner(func(s *v1alpha1.Subaccount) { s.Status.PendingCreation = &v1alpha1.PendingCreation{} }), false, false},
	} {
		if got := slices.Contains(plan.Strays(map[string]string{sa1: mine}, r.live, r.limited), sa1); got != r.want {
			t.Errorf("%s: got %v, want %v", r.name, got, r.want)
		}
	}
}
