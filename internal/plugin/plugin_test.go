// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

const uid = types.UID("01234567-89ab-cdef-0123-456789abcdef")

func resource(name string, change func(*v1alpha1.Subaccount)) v1alpha1.Subaccount {
	s := v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(1000, 0),
	}}
	change(&s)
	return s
}

func TestFindManagers_Claims_DecideTheManager(t *testing.T) {
	marker := plan.Marker("cafecafe", uid)
	deleted := metav1.Now()
	for name, test := range map[string]struct {
		remote Remote
		all    []v1alpha1.Subaccount
		want   string
	}{
		"recorded": {Remote{AuthID: "SA1"}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) { s.Status.AuthID = "SA1" }),
			resource("b", func(s *v1alpha1.Subaccount) { s.Status.AuthID = "SA2" }),
		}, "a"},
		"recorded by two": {Remote{AuthID: "SA1"}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) { s.Status.AuthID = "SA1" }),
			resource("b", func(s *v1alpha1.Subaccount) {
				s.Status.AuthID, s.CreationTimestamp = "SA1", metav1.Unix(999, 0)
			}),
		}, "b"},
		"recorded, terminating": {Remote{AuthID: "SA1"}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) {
				s.Status.AuthID, s.DeletionTimestamp, s.Finalizers = "SA1", &deleted, []string{v1alpha1.Finalizer}
			}),
		}, "a"},
		"recorded, terminating, only another finalizer": {Remote{AuthID: "SA1"}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) {
				s.Status.AuthID, s.DeletionTimestamp, s.Finalizers = "SA1", &deleted, []string{"example.com/other"}
			}),
		}, ""},
		"only in spec.authID": {Remote{AuthID: "SA1"}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) { s.Spec.AuthID = ptr.To("SA1") }),
		}, ""},
		"created, not recorded yet": {Remote{AuthID: "SA1", Name: marker}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) { s.UID, s.Status.PendingCreation = uid, &v1alpha1.PendingCreation{} }),
		}, "a"},
		"created, another one recorded": {Remote{AuthID: "SA1", Name: marker}, []v1alpha1.Subaccount{
			resource("a", func(s *v1alpha1.Subaccount) { s.UID, s.Status.AuthID = uid, "SA2" }),
		}, ""},
		"marker of another":   {Remote{AuthID: "SA1", Name: marker}, []v1alpha1.Subaccount{resource("a", func(*v1alpha1.Subaccount) {})}, ""},
		"marker and recorded": {Remote{AuthID: "SA1", Name: marker}, []v1alpha1.Subaccount{resource("a", func(s *v1alpha1.Subaccount) { s.Status.AuthID = "SA1" })}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			remotes := []Remote{test.remote}
			FindManagers(remotes, test.all)
			got := ""
			if m := remotes[0].ManagedBy; m != nil {
				got = m.Name
			}
			if got != test.want || remotes[0].Unfinished != (test.remote.Name == marker) {
				t.Errorf("%+v: got manager %q, want %q", remotes[0], got, test.want)
			}
		})
	}
}

func TestResourceNames_AnyNames_AreValidAndUnique(t *testing.T) {
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ a-c-]{0,3}`), rapid.StringMatching(`[a-c]{60,70}`), rapid.StringMatching(`sa[01]{18}(-[12])?`))
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`SA[01]{18}`), 0, 8, rapid.ID).Draw(t, "IDs")
		var remotes []Remote
		for _, id := range ids {
			remotes = append(remotes, Remote{AuthID: id, Name: name.Draw(t, "name")})
		}
		used := map[string]bool{}
		for _, n := range rapid.SliceOf(name).Draw(t, "taken") {
			used[slug(n)] = true
		}
		for _, n := range resourceNames(remotes, used) {
			if len(validation.IsDNS1123Label(n)) > 0 {
				t.Fatalf("got %q, want a valid name", n)
			}
			if used[n] {
				t.Fatalf("got %q twice, want unique names", n)
			}
			used[n] = true
		}
	})
}

func TestResourceNames_OtherOrder_GivesSameNames(t *testing.T) {
	a, b, c := Remote{AuthID: "SA1", Name: "Team A"}, Remote{AuthID: "SA2", Name: "team-a"}, Remote{AuthID: "SA3", Name: "Team C"}
	one, other := resourceNames([]Remote{a, b, c}, nil), resourceNames([]Remote{c, b, a}, nil)
	if diff := cmp.Diff([]string{"team-a-sa1", "team-a-sa2", "team-c"}, one); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"team-c", "team-a-sa2", "team-a-sa1"}, other); diff != "" {
		t.Error(diff)
	}
}

var escape = regexp.MustCompile(`\x1b|[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{2028}\x{202e}]`)

func TestCellAndWrite_HostileName_IsEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a \n\r\x1b\x00\u0085\u009b\u2028\u202e#-")))).Draw(t, "name")
		r := Remote{AuthID: "SA000000000000000000", Name: name}
		if shown := cell(name); escape.MatchString(shown) || strings.ContainsAny(shown, "\n\r\t") {
			t.Fatalf("got the cell %q, want it escaped", shown)
		}
		var b strings.Builder
		if err := NewExport("default", "MA", "ns", []Remote{r}, nil).Write(&b); err != nil {
			t.Fatal(err)
		}
		if escape.MatchString(strings.ReplaceAll(b.String(), "\u202e", "")) {
			t.Fatalf("got the export %q, want it escaped", b.String())
		}
		if n := strings.Count(b.String(), "\n---\n"); n != 1 {
			t.Fatalf("got %d documents, want 1", n)
		}
	})
}

func TestNewExport_ClaimedInSpec_IsOmitted(t *testing.T) {
	const one, two, three = "SA000000000000000001", "SA000000000000000002", "SA000000000000000003"
	adopter := func(namespace, id string) v1alpha1.Subaccount {
		return resource("adopter", func(s *v1alpha1.Subaccount) { s.Namespace, s.Spec.AuthID = namespace, &id })
	}
	e := NewExport("default", "MA", "ns", []Remote{{AuthID: one}, {AuthID: two}, {AuthID: three}, {AuthID: "SA\n4"}},
		[]v1alpha1.Subaccount{adopter("ns", one), adopter("elsewhere", two)})
	var b strings.Builder
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`SA\n4 is omitted: the auth ID has an unknown form.`, one + " is omitted: the Subaccount adopter has it in spec.authID."}, e.Notes); diff != "" {
		t.Error(diff)
	}
	for id, documents := range map[string]int{one: 0, two: 1, three: 1} {
		if n := strings.Count(b.String(), "\n  authID: "+id+"\n"); n != documents {
			t.Errorf("%s: got it in %d documents, want %d", id, n, documents)
		}
		if !strings.Contains(b.String(), "\n#grant     - "+id+"\n") {
			t.Errorf("%s: got no grant, want one", id)
		}
	}
}

func TestWrite_MoreThanMaxGranted_GrantsAll(t *testing.T) {
	e := &Export{Account: "default", Namespace: "ns", granted: make([]string, maxGranted+1)}
	var b strings.Builder
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "\n#grant     authIDs:\n#grant     - \"*\"\n") || !strings.Contains(b.String(), "\n# These are more than the 10000 ") {
		t.Errorf("got %s, want a grant of all", b.String())
	}
}
