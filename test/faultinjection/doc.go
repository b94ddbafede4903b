// Package faultinjection walks a Subaccount's life again and again, each time with
// another fault at another step, or with a pair of faults, and holds the end
// against the exact rule (docs/decisions/004-the-fault-walk.md).
//
//	life.go       the life
//	rule.go       what it has to end with, and what must never be
//	world.go      one run: cluster, Plivo, people
//	faults.go     all that can happen at a step, and how a schedule is written
//	sample.go     which pairs one test run walks
//	process.go    the real manager, whose every call is a step
//	cluster.go    lists and watches, over one of two backends:
//	memory.go     an API server in memory (kinds.go: what it serves)
//	apiserver.go  a real one
package faultinjection
