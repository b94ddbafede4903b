// Package plivo is a client of Plivo's Subaccount API: the five calls, one
// Error type that keeps a definite refusal apart from everything that may or
// may not have happened, a Token that cannot print itself, and the budget of
// requests that a main account shares with its owner's live traffic.
//
// It knows nothing of Kubernetes. Facts about the API come from Plivo's
// documentation of the Subaccount resource, or from answers that its official
// SDKs were seen to get; where neither says anything, either answer is
// tolerated.
package plivo
