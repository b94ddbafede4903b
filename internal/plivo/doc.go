// SPDX-License-Identifier: Apache-2.0

// Package plivo is a client of Plivo's Subaccount API. It has the five calls, one
// Error type, a Token that cannot print itself, and the request budget of a main
// account. The Error type separates a definite refusal from every outcome that is
// not certain.
//
// It must not import anything of Kubernetes or any other package of this module.
// Facts about the API come from Plivo's documentation of the Subaccount resource, or
// from responses to Plivo's official SDKs. If neither covers a case, the client
// accepts every plausible response.
//
// Start with client.go for the calls, call.go for how the client reads a response,
// and budget.go for the request budget. docs/glossary.md explains the terms.
package plivo
