// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"fmt"
	"slices"
	"testing"
)

func TestList_DistortedByFault_ShowsWrongRows(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    Fault
		rows     int // of 25, on two pages of 20
		distinct int
		total    int
	}{
		{"none", Fault{}, 25, 25, 25},
		{"empty", Fault{Rows: None}, 0, 0, 0},
		{"one row missed between pages", Fault{Shift: 1}, 24, 24, 25},
		{"one row repeated between pages", Fault{Shift: -1}, 26, 25, 25},
		{"total too high", Fault{Total: 3}, 25, 25, 28},
		{"total too low", Fault{Total: -1}, 25, 25, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Options{})
			for i := range 25 {
				r.create(fmt.Sprint(i))
			}
			actual, _ := r.listed(20)
			r.sim.Inject(c.fault)
			ids, totals := r.listed(20)
			if n := min(20, len(ids)); !slices.Equal(ids[:n], actual[:n]) {
				t.Errorf("got first page %v, want it unchanged", ids[:n])
			}
			slices.Sort(ids)
			if len(ids) != c.rows || len(slices.Compact(ids)) != c.distinct || totals[0] != c.total {
				t.Errorf("got %d rows, totals %v; want %d rows, total %d", len(ids), totals, c.rows, c.total)
			}
		})
	}
}

func TestList_StaleRows_StayAsAtInjection(t *testing.T) {
	r := start(t, Options{})
	kept, removed := r.create("kept"), r.create("removed")
	frozen, _ := r.listed(20)
	r.sim.Inject(Fault{Rows: Stale})
	r.want(204, "DELETE", collection+removed+"/", "")
	r.want(202, "POST", collection+kept+"/", `{"name":"renamed"}`)
	r.create("added")

	if ids, totals := r.listed(20); !slices.Equal(ids, frozen) || totals[0] != 2 {
		t.Errorf("got %v, want the rows at the injection %v", ids, frozen)
	}
	for _, object := range r.want(200, "GET", collection, "")["objects"].([]any) {
		if name := object.(map[string]any)["name"]; name == "renamed" {
			t.Error("got a renamed row in the list, want the old name")
		}
	}
	if got := r.want(200, "GET", collection+kept+"/", ""); got["name"] != "renamed" {
		t.Errorf("got %v from a get, want the new name", got)
	}
	r.sim.ClearFaults()
	if ids, _ := r.listed(20); len(ids) != 2 || slices.Equal(ids, frozen) {
		t.Errorf("got %v after the fault, want the current rows", ids)
	}
}

func TestList_Without_OmitsRow(t *testing.T) {
	r := start(t, Options{})
	shown, hidden := r.create("shown"), r.create("hidden")
	r.sim.Inject(Fault{Without: hidden})
	if ids, totals := r.listed(20); !slices.Equal(ids, []string{shown}) || totals[0] != 1 {
		t.Errorf("got %v, totals %v; want one row", ids, totals)
	}
	r.want(200, "GET", collection+hidden+"/", "")
}
