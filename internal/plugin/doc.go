// SPDX-License-Identifier: Apache-2.0

// Package plugin has the parts of kubectl plivo that do not talk to the API server. It
// reads the list of a main account's subaccounts, finds the Subaccount that manages
// each of them, and writes manifests that adopt the others.
//
// It must not import a Kubernetes client: cmd/kubectl-plivo passes the resources.
// docs/kubectl-plivo.md describes the plugin, and docs/glossary.md explains the terms.
package plugin
