// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the operator does next for one Subaccount. An
// Observation holds all that the operator knows about the resource. Decide
// returns the next step or what to wait for, and Summarize returns the status
// and the events.
//
// The package is pure: it must not import a client, an HTTP package, a clock or
// any other package of this module than api/v1alpha1. Every fact is Known,
// Absent or Unknown, and Unknown never becomes Absent without a read. If a
// decision needs a fact that is Unknown, the decision is to read it or to wait.
//
// Start with decide.go, which lists the checks in order, and creation.go, which
// has a diagram of the creation protocol. docs/glossary.md explains the terms.
// docs/decisions/001-exactly-one.md explains why the protocol creates exactly one
// subaccount for each resource.
package plan
