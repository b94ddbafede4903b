// SPDX-License-Identifier: Apache-2.0

// Package account is the reconciler of the kind Account. It gives a main account
// its credentials, removes strays, and writes the status of the Account.
//
// One reconcile is in these files, in this order:
//
//	reconciler.go   Reconcile: finalizer, configuration, strays, report
//	credentials.go  reads the credentials Secret; rejects a changed or duplicate main account
//	strays.go       removes subaccounts with a marker that no Subaccount claims
//	status.go       conditions, counts and the mass disappearance
//
// watches.go decides which events enqueue an Account.
//
// The sweeps run in internal/mainaccount. After each sweep it calls
// Reconciler.Notify, which enqueues the Account and the Subaccounts that the
// sweep affects.
//
// The package must not import internal/controller/subaccount: internal/controller
// wires the two reconcilers together. docs/glossary.md explains the terms,
// docs/decisions/008-sweeps-while-we-delete.md the reading of Plivo's list.
package account
