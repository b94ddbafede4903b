// SPDX-License-Identifier: Apache-2.0

// Package controller wires the operator together: setup.go creates the
// reconcilers of both kinds and the registry of main accounts, and metrics.go
// exports what the cache has. It contains no other behaviour.
//
// To read on, in the order of a reconcile:
//
//	internal/controller/subaccount  reconciles Subaccounts
//	internal/controller/account     reconciles Accounts
//	internal/plan                   decides what a Subaccount needs; no I/O
//	internal/mainaccount            sweeps, inventory and credentials of a main account
//	internal/kube                   caches, live reads and queues of both reconcilers
//
// Only cmd and tests may import this package. docs/glossary.md explains the terms.
package controller
