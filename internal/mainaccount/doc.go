// SPDX-License-Identifier: Apache-2.0

// Package mainaccount holds one Plivo main account as this process knows it. It has the
// client with its credentials, the request budget, the circuit and the mass-deletion
// guard. It also has the inventory, which sweeps of Plivo's list fill.
//
// It returns its knowledge as facts of internal/plan and so depends on the API
// types. It must not import a Kubernetes client, controller-runtime or
// internal/controller: the Options have functions for all that it needs from them.
//
// Start with account.go for the calls and sweep.go for the sweeps.
// docs/glossary.md explains the terms.
package mainaccount
