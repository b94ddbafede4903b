// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind says whether a failed call had an effect, and why it failed.
type Kind int

// All kinds but KindUnknown and KindNotSent need a response with a JSON object.
const (
	// KindUnknown: the call may or may not have taken effect. Examples are a timeout,
	// a cut connection, a 5xx, a 408, a redirect, HTML, a body that cannot be read, or
	// a 2xx with an error in it.
	KindUnknown Kind = iota
	// KindNotSent: nothing was sent. The deadline had passed, the budget had no free
	// slot, or the circuit is open.
	KindNotSent
	// KindInvalid: 400, or a 4xx that is not in kinds.
	KindInvalid
	// KindUnauthorized: 401. internal/mainaccount also uses it for a 403 that may
	// refuse the credentials and not the call.
	KindUnauthorized
	// KindForbidden: 403.
	KindForbidden
	// KindNotFound: 404.
	KindNotFound
	// KindMethodNotAllowed: 405.
	KindMethodNotAllowed
	// KindRateLimited: 429.
	KindRateLimited
)

var kindNames = map[Kind]string{
	KindUnknown: "unknown", KindNotSent: "not_sent", KindInvalid: "invalid", KindUnauthorized: "unauthorized",
	KindForbidden: "forbidden", KindNotFound: "not_found", KindMethodNotAllowed: "method_not_allowed",
	KindRateLimited: "rate_limited",
}

// String returns the kind's name in metrics.
func (k Kind) String() string { return kindNames[k] }

// Error is the only error type that calls of this package return. Its text has no
// token, no body and no URL in it.
type Error struct {
	Kind Kind
	// Operation that failed.
	Operation Operation
	// Status is the HTTP status; 0 if there was no response.
	Status int
	// Message is Plivo's error message, limited and scrubbed, or the client's own.
	Message string
	// RetryAfter is the Retry-After header of the response; 0 if there is none.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("plivo: %s: %s", e.Operation, e.Message)
	}
	return fmt.Sprintf("plivo: %s: HTTP %d: %s", e.Operation, e.Status, e.Message)
}

// IsRateLimit says whether the response was a 429, with or without a JSON object: the
// main account then pauses.
func (e *Error) IsRateLimit() bool { return e.Status == http.StatusTooManyRequests }

// IsDefinite says whether it is certain that the call had no effect.
func (e *Error) IsDefinite() bool { return e.Kind != KindUnknown }

// AsError returns err as an *Error. It turns any other error into one of KindUnknown;
// no call of this package returns such an error.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindUnknown, Message: "unexpected error"}
}

// IsKind says whether err is an *Error of the given kind.
func IsKind(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
