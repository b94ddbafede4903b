package plivo

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a failed call means for the remote side.
type Kind int

const (
	// KindUnknown: the call may or may not have taken effect. Everything that is
	// not one of the others: timeouts, cut connections, 5xx, 408, redirects,
	// HTML, bodies that cannot be read, a 2xx that holds an error.
	KindUnknown Kind = iota
	// KindNotSent: nothing was sent; the deadline had passed, the budget gave no
	// slot, or the circuit is open.
	KindNotSent
	// KindInvalid: 400 or any other 4xx that has no kind of its own, with a JSON
	// object as body; not 408, 425 and 499.
	KindInvalid
	// KindUnauthorized: 401, likewise; internal/mainaccount also makes it of a 403
	// that may refuse the credentials and not the call.
	KindUnauthorized
	// KindForbidden: 403, likewise.
	KindForbidden
	// KindNotFound: 404, likewise.
	KindNotFound
	// KindMethodNotAllowed: 405, likewise.
	KindMethodNotAllowed
	// KindRateLimited: 429, likewise.
	KindRateLimited
)

var kindNames = map[Kind]string{
	KindUnknown: "unknown", KindNotSent: "not_sent", KindInvalid: "invalid", KindUnauthorized: "unauthorized",
	KindForbidden: "forbidden", KindNotFound: "not_found", KindMethodNotAllowed: "method_not_allowed",
	KindRateLimited: "rate_limited",
}

// String is the kind's name as metrics show it.
func (k Kind) String() string { return kindNames[k] }

// Error is the one error that calls of this package return. Its text holds no
// token, no body and no URL.
type Error struct {
	Kind Kind
	// Operation that failed.
	Operation Operation
	// Status is the HTTP status, 0 if no answer came.
	Status int
	// Message is Plivo's own words, bounded and scrubbed, or what went wrong on
	// the way.
	Message string
	// RetryAfter is what a 429 or 503 asked for, 0 if it did not ask.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("plivo: %s: %s", e.Operation, e.Message)
	}
	return fmt.Sprintf("plivo: %s: HTTP %d: %s", e.Operation, e.Status, e.Message)
}

// IsDefinite says whether it is certain that the call had no effect.
func (e *Error) IsDefinite() bool { return e.Kind != KindUnknown }

// AsError returns err as an *Error. Anything else that is not nil, which no
// call of this package returns, becomes one of KindUnknown.
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
