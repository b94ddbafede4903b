// SPDX-License-Identifier: Apache-2.0

// Package subaccount is the reconciler of the kind Subaccount. It holds the
// I/O of a reconcile; internal/plan decides what to do.
//
// One reconcile is in these files, in this order; the comment of
// Reconciler.Reconcile has a diagram:
//
//	reconciler.go  Reconcile: observe, decide, perform, report
//	observe.go     builds the plan.Observation from caches, memory and inventory
//	memory.go      what this process remembers about a Subaccount
//	perform.go     one function for each plan.Step, and writes of the resource
//	slot.go        the request budget: slots, the queue for them, throttling
//	create.go      the creation protocol: intent, create call, record; adoption
//	secret.go      the Secret with the credentials
//	report.go      failures as text, status, events, requeue
//
// Two files hold details: contest.go (something else keeps changing the Secret)
// and watches.go (which events enqueue a Subaccount).
//
// The package must not import internal/controller/account: internal/controller
// wires the two reconcilers together. docs/glossary.md explains the terms,
// docs/decisions/001-exactly-one.md the creation protocol.
package subaccount
