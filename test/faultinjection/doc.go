// SPDX-License-Identifier: Apache-2.0

// Package faultinjection runs a Subaccount's life many times. Each run injects one failure
// or a pair of failures at other steps, and ends with a check of the exact rule
// (docs/decisions/004-the-fault-walk.md).
//
// An injection is a failure or an event that this package causes at a step. A fault is a
// failure of the simulated Plivo (plivosim.Fault). Some injections use a fault.
//
//	life.go        the phases of a life
//	rule.go        the exact rule, and the states that must never occur
//	world.go       one run: cluster, Plivo and users
//	injections.go  all injections, and the text form of a schedule
//	sample.go      the pairs of injections that one test run covers
//	process.go     the manager; each of its calls is a step
//	cluster.go     lists and watches, on one of two backends:
//	memory.go      an API server in memory, for the kinds in kinds.go
//	apiserver.go   a real API server
package faultinjection
