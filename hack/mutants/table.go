// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// mutant is one change of the code that breaks a rule of the creation or
// deletion protocol.
type mutant struct {
	name     string // the broken rule
	file     string
	old, new string // old must occur exactly once in file
	tests    suite  // the quickest tests that must fail
}

// suite has the tests of a package, or a part of them.
type suite struct {
	pkg  string
	args []string // of the test binary
}

func (s suite) String() string { return s.pkg + " " + strings.Join(s.args, " ") }

var (
	core = suite{"internal/plan", []string{"-test.failfast"}}
	// record has the tests of the write that records a create response.
	record = suite{"internal/controller/subaccount", []string{"-test.run=^TestRecord_"}}
	// stray tests the minimum time between two sweeps that show a stray.
	stray = suite{"test/faultinjection", []string{"-test.run=^TestStray_"}}
	// walk runs every single injection in memory, and no pairs.
	walk = suite{"test/faultinjection", []string{"-test.run=^TestFaults$", "-test.short", "-test.failfast"}}
)

var mutants = []mutant{
	{
		name:  "declares another attempt before the settle time",
		file:  "internal/plan/creation.go",
		old:   "case !sweep.Started.After(settled):",
		new:   "case !sweep.Started.After(o.PendingSince):",
		tests: core,
	},
	{
		name:  "creates although the sweep found the marker",
		file:  "internal/plan/creation.go",
		old:   "if len(o.FoundByMarker) > 0 {",
		new:   "if false {",
		tests: core,
	},
	{
		name:  "writes the Secret before the update",
		file:  "internal/plan/decide.go",
		old:   "\tdrift, ",
		new:   "\tsecretContent, drift, ",
		tests: core,
	},
	{
		name:  "records a create response only after every other check",
		file:  "internal/plan/decide.go",
		old:   "\theldResponse, ",
		new:   "\tfailedStep, withoutFinalizer, orphanDeletion, crdTerminating, suspended, heldResponse, ",
		tests: core,
	},
	{
		name:  "manages a subaccount that another Subaccount claims",
		file:  "internal/plan/decide.go",
		old:   "case !claim.Ours:",
		new:   "case !claim.Ours && false:",
		tests: core,
	},
	{
		name:  "treats a lost status as a new resource",
		file:  "internal/plan/decide.go",
		old:   "if !o.hasLostStatus() {",
		new:   "if true {",
		tests: core,
	},
	{
		name:  "removes the finalizer after a 404 without a sweep",
		file:  "internal/plan/deletion.go",
		old:   "return o.deletionNotFound()",
		new:   "return o.afterDeletion()",
		tests: core,
	},
	{
		name:  "recreates after one 404",
		file:  "internal/plan/maintenance.go",
		old:   "o.NotFound.First.Add(o.SettleTime)",
		new:   "o.NotFound.First",
		tests: core,
	},
	{
		name:  "recreates despite the mass-deletion guard",
		file:  "internal/plan/creation.go",
		old:   "return account.GuardOn",
		new:   "return account.GuardOn && false",
		tests: core,
	},
	{
		name:  "treats a subaccount with a pending creation as a stray",
		file:  "internal/plan/stray.go",
		old:   "&& !creating &&",
		new:   "&& (!creating || true) &&",
		tests: core,
	},
	{
		name:  "treats an unknown create response as a refusal",
		file:  "internal/controller/subaccount/create.go",
		old:   "if plivo.AsError(err).IsDefinite() {",
		new:   "if plivo.AsError(err) != nil {",
		tests: walk,
	},
	{
		name:  "creates under the wanted name instead of the marker",
		file:  "internal/controller/subaccount/create.go",
		old:   "st.mainAccount.Create(ctx, slot, accountID, st.obs.Marker)",
		new:   "st.mainAccount.Create(ctx, slot, accountID, *s.Spec.Name)",
		tests: walk,
	},
	{
		name:  "writes the intent without an optimistic lock",
		file:  "internal/controller/subaccount/perform.go",
		old:   "client.MergeFromWithOptions(st.obs.Object, client.MergeFromWithOptimisticLock{})",
		new:   "client.MergeFrom(st.obs.Object)",
		tests: walk,
	},
	{
		name:  "records without testing the attempt",
		file:  "internal/controller/subaccount/create.go",
		old:   "test(pathUID, s.UID).test(pathAttempt, response.Attempt).test(pathAuthID, nil).",
		new:   "test(pathUID, s.UID).test(pathAuthID, nil).",
		tests: record,
	},
	{
		name:  "never removes strays",
		file:  "internal/controller/account/strays.go",
		old:   "lastSweep.Started.Sub(first) >= r.SettleTime",
		new:   "lastSweep.Started.Sub(first) < 0",
		tests: walk,
	},
	{
		name:  "removes strays after one sweep",
		file:  "internal/controller/account/strays.go",
		old:   "lastSweep.Started.Sub(first) >= r.SettleTime",
		new:   "lastSweep.Started.Sub(first) >= 0",
		tests: stray,
	},
}
