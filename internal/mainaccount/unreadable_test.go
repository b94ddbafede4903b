// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestSweep_UnreadableRow_IsIncompleteButShowsOtherRows(t *testing.T) {
	const marker = "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef"
	for name, breakRow := range map[string]func(id string) (old, odd string){
		"without auth_id": func(id string) (old, odd string) { return `"` + id + `"`, `null` },
		"with a number":   func(id string) (old, odd string) { return `"` + id + `"`, `7` },
	} {
		bubble(t, func(t *testing.T, r *rig) {
			ids := r.add(45)
			a := r.swept()
			old, odd := breakRow(ids[44])
			r.rewrite = func(body string) string { return strings.Replace(body, old, odd, 1) }
			r.sim.Edit(mainID, ids[3], func(s *plivosim.Subaccount) { s.Name = "by hand" })
			r.sim.Remove(mainID, ids[7])
			created := r.sim.Add(mainID, marker, false).AuthID
			r.sweep(a)
			s := a.Status()
			if s.Outcome != OutcomeChanging || s.Complete != 1 || s.Failures != 1 || !strings.Contains(s.Message, "rows that cannot be read: 1 (row ") {
				t.Errorf("%s: got %+v, want an incomplete sweep with one unreadable row", name, s)
			}
			for _, id := range []string{ids[44], ids[7]} { // unreadable, and really missing
				if remote, _, _ := a.Remote(id); remote.IsAbsent() {
					t.Errorf("%s: got %s Absent, want not Absent", name, id)
				}
			}
			remote, _, _ := a.Remote(ids[3])
			if got, _ := remote.Get(); got.Name != "by hand" {
				t.Errorf("%s: got %+v, want the changed name", name, got)
			}
			if found := a.WithMarker(marker); len(found) != 1 || found[0] != created {
				t.Errorf("%s: got %v, want the new subaccount", name, found)
			}
			r.rewrite = func(body string) string { return body }
			time.Sleep(time.Minute)
			if s := a.Status(); s.Outcome != OutcomeComplete || s.Failures != 0 {
				t.Errorf("%s: after the repair: got %+v, want complete", name, s)
			}
			if remote, _, _ := a.Remote(ids[7]); !remote.IsAbsent() {
				t.Errorf("%s: got no Absent for the missing row after a complete sweep", name)
			}
		})
	}
}

func TestSweep_TotalNeverMatches_ReportsNumbers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(25)
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Total: 1})
		a := r.configure()
		time.Sleep(5 * time.Second) // sweeps at 0, 1 and 3 s
		s := a.Status()
		if s.Outcome != OutcomeChanging || s.Failures != 3 || s.Message != "it promised 26 subaccounts, showed 25, and repeated 0 rows" {
			t.Errorf("got %+v, want 3 failures with numbers", s)
		}
	})
}

func TestSweep_MaskedTokens_KeepsDigestFromGet(t *testing.T) {
	tokens := regexp.MustCompile(`"(auth_token|new_auth_token)": ?"[^"]*"`)
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		r.rewrite = func(body string) string {
			if strings.Contains(body, `"objects"`) {
				return tokens.ReplaceAllString(body, `"$1": "****"`)
			}
			return body
		}
		a := r.swept()
		digest := func() plivo.Digest {
			remote, _, _ := a.Remote(one)
			got, _ := remote.Get()
			return got.TokenDigest
		}
		if digest() != (plivo.Digest{}) {
			t.Error("got a digest of a masked token, want none")
		}
		got, err := get(t, a, mainID, one)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.sweep(a)
		if digest() != a.digest(got.Token) {
			t.Error("got another digest after a list with masked tokens, want the digest from the get")
		}
		if a.Status().Complete != 2 {
			t.Errorf("got %+v, want 2 complete sweeps", a.Status())
		}
	})
}
