// Package logging has what the lines of the log share: levels and names of keys.
// docs/logging.md lists the lines. No line ever has a token in it.
package logging

// Levels, for logr.Logger.V. What a person has to look at is logged by Error,
// which has no level.
const (
	// Info is for what changes something at Plivo or decides about money or
	// credentials, each once: a create, update or delete call, a recreation, a
	// stray that is removed, the mass-deletion guard, other credentials. An
	// installation at rest logs no line of this level.
	Info = 0
	// Debug is for what explains a decision: reads of one subaccount, and how each
	// sweep ended.
	Debug = 1
)

// Names of keys. The resource stands in the keys that controller-runtime adds:
// controller, namespace, name and reconcileID.
const (
	// Account is the name of the Account resource.
	Account = "account"
	// AccountID is the auth ID of the main account.
	AccountID = "accountID"
	// Operation is create, get, update or delete.
	Operation = "operation"
	// AuthID is that of the subaccount, empty if a create call has made none.
	AuthID = "authID"
	// PreviousAuthID is that of the subaccount that another one replaces.
	PreviousAuthID = "previousAuthID"
	// Secret is the name of the Secret, in the namespace of the Subaccount.
	Secret = "secret"
	// Attempt is the status.pendingCreation.attempt that a create call belongs to.
	Attempt = "attempt"
	// Outcome is success, or the kind of the error, as in the metrics.
	Outcome = "outcome"
	// Status is the HTTP status, 0 if no answer came.
	Status = "status"
	// Message is Plivo's own words, bounded and scrubbed, or what went wrong.
	Message = "message"
	// Duration is how long it took, such as 120ms.
	Duration = "duration"
)
