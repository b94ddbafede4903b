// SPDX-License-Identifier: Apache-2.0

// Package logging has the levels and the keys of log lines. docs/logging.md lists the
// lines, and docs/glossary.md explains the terms. No line has a token in it.
//
// The package has constants only and must not import anything.
package logging

// Levels, for logr.Logger.V. Use Error, which has no level, for a failure that a person
// may have to fix: "Failed to list Subaccounts; skipping removal of strays".
const (
	// Info is for changes at Plivo and for decisions about money or credentials, one
	// line each. A decision is a recreation, a removed stray, a switch of the
	// mass-deletion guard, or other credentials. Example: "Called Plivo". While nothing
	// changes, the operator logs no line at this level.
	Info = 0
	// Debug is for the reasons of a decision: each read of one subaccount, and how each
	// sweep ended. Example: "Swept".
	Debug = 1
)

// Keys. controller-runtime adds the keys that name the resource: controller, namespace,
// name and reconcileID.
const (
	// Account is the name of the Account resource.
	Account = "account"
	// AccountID is the auth ID of the main account.
	AccountID = "accountID"
	// Operation is create, get, update or delete.
	Operation = "operation"
	// AuthID is the auth ID of the subaccount; empty if a create call returned none.
	AuthID = "authID"
	// PreviousAuthID is the auth ID of the subaccount that a new one replaces.
	PreviousAuthID = "previousAuthID"
	// Secret is the name of the Secret, in the namespace of the Subaccount.
	Secret = "secret"
	// Attempt is the status.pendingCreation.attempt of a create call.
	Attempt = "attempt"
	// Outcome is the outcome of a call or a sweep, with the words of the metrics.
	Outcome = "outcome"
	// Status is the HTTP status; 0 if there was no response.
	Status = "status"
	// Message is Plivo's error message, limited and scrubbed, or the operator's own.
	Message = "message"
	// Duration is the duration of the call or the sweep, such as 120ms.
	Duration = "duration"
)
