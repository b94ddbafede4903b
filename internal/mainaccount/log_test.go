// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// logTo returns a logger that appends its lines up to a level, without durations.
func logTo(lines *[]string, level int) logr.Logger {
	return funcr.New(func(_, line string) {
		if i := strings.Index(line, ` "duration"=`); i >= 0 {
			line = line[:i]
		}
		*lines = append(*lines, line)
	}, funcr.Options{Verbosity: level})
}

func TestLog_PlivoWrite_IsOneInfoLine(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		var lines []string
		ctx := logr.NewContext(t.Context(), logTo(&lines, 0).WithValues("name", "team-a"))
		do := func(call func(*plivo.Slot) error) {
			slot, err := a.AcquireSlot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = call(slot)
		}
		var created plivo.Created
		do(func(slot *plivo.Slot) (err error) { created, err = a.Create(ctx, slot, mainID, "name"); return err })
		id := created.AuthID
		do(func(slot *plivo.Slot) error { return a.Update(ctx, slot, mainID, id, "two", true) })
		do(func(slot *plivo.Slot) error { _, err := a.Get(ctx, slot, mainID, id); return err }) // a read: no line
		r.sim.Inject(plivosim.Fault{Status: 422, Text: `{"error": "no, not with ` + mainToken + `"}`, Times: 1})
		do(func(slot *plivo.Slot) error { return a.Update(ctx, slot, mainID, id, "three", true) })
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, When: plivosim.After, What: plivosim.Cut, Times: 1})
		do(func(slot *plivo.Slot) error { _, err := a.Create(ctx, slot, mainID, "lost"); return err })
		do(func(slot *plivo.Slot) error { return a.Delete(ctx, slot, otherID, id, false) }) // not sent: no line
		do(func(slot *plivo.Slot) error { return a.Delete(ctx, slot, mainID, id, false) })
		line := func(rest string) string { return `"level"=0 "msg"="Called Plivo" "name"="team-a" ` + rest }
		want := []string{
			line(`"operation"="create" "authID"="` + id + `" "outcome"="success"`),
			line(`"operation"="update" "authID"="` + id + `" "outcome"="success"`),
			line(`"status"=422 "message"="no, not with [redacted]" "operation"="update" "authID"="` + id + `" "outcome"="invalid"`),
			line(`"status"=0 "message"="the connection broke before a complete response came" "operation"="create" "authID"="" "outcome"="unknown"`),
			line(`"operation"="delete" "authID"="` + id + `" "outcome"="success"`),
		}
		if !slices.Equal(lines, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
		if shown := fmt.Sprint(lines); strings.Contains(shown, mainToken) || strings.Contains(shown, created.Token.Reveal()) {
			t.Error("got a token in the log")
		}
	})
}

func TestLog_AccountDecision_IsOneInfoLine(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var lines []string
		r.registry.options.Log = logTo(&lines, 0)
		r.recorded = r.add(20)
		a := r.swept()
		r.sweep(a) // nothing changes: no line
		fault := r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Rows: plivosim.None})
		r.sweep(a)
		r.sweep(a) // the guard stays on: no line
		r.sim.RemoveFault(fault)
		r.sweep(a)
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Rows: plivosim.None})
		r.sweep(a)
		a.ConfirmDisappearance()
		r.sim.ClearFaults()
		r.sim.SetToken(mainID, "rotated")
		r.sweep(a)
		r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false)
		time.Sleep(time.Second)
		want := []string{
			`"level"=0 "msg"="Started using credentials" "account"="a" "accountID"="` + mainID + `" "rotated"=false`,
			`"level"=0 "msg"="Switched the mass-deletion guard" "account"="a" "on"=true "by"="Plivo's list"`,
			`"level"=0 "msg"="Switched the mass-deletion guard" "account"="a" "on"=false "by"="Plivo's list"`,
			`"level"=0 "msg"="Switched the mass-deletion guard" "account"="a" "on"=true "by"="Plivo's list"`,
			`"level"=0 "msg"="Switched the mass-deletion guard" "account"="a" "on"=false "by"="confirmation by a person"`,
			`"level"=0 "msg"="Plivo refuses the credentials" "account"="a"`,
			`"level"=0 "msg"="Started using credentials" "account"="a" "accountID"="` + mainID + `" "rotated"=true`,
		}
		for i := range lines {
			lines[i], _, _ = strings.Cut(lines[i], ` "message"=`)
		}
		if !slices.Equal(lines, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	})
}
