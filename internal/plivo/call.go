// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

type request struct {
	op     Operation
	method string
	authID string
	query  url.Values
	body   any
}

// call sends one request, once, and decodes the response into out. If out is nil, only
// a 204 is success.
func (c *Client) call(ctx context.Context, r request, out any) error {
	if hasEnded(ctx) {
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "the deadline had passed before the request was sent"}
	}
	if r.needsAuthID() && !subaccountAuthID.MatchString(r.authID) {
		// An update without an auth ID would be a create.
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "the auth ID is not of a subaccount"}
	}
	started := time.Now()
	err := c.send(ctx, r, out)
	durations.WithLabelValues(string(r.op)).Observe(time.Since(started).Seconds())
	if err == nil {
		return nil // not err: a nil *Error in an error interface is not nil
	}
	return err
}

// hasEnded says whether a context has ended. It also compares the deadline with the
// monotonic clock: after a process was stopped, the deadline may have passed before
// the timer fires. It compares with the wall clock too, because the monotonic clock
// stops while the machine sleeps.
func hasEnded(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	now := time.Now()
	isBefore := now.Before(deadline) && now.Round(0).Before(deadline.Round(0))
	return ok && !isBefore
}

func (r request) needsAuthID() bool { return r.op != OperationCreate && r.op != OperationList }

func (c *Client) send(ctx context.Context, r request, out any) *Error {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "the request is not valid"}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &Error{Kind: KindUnknown, Operation: r.op, Message: transportFailure(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the connection, and a read from it ignores the context.
		return unreadableError(r.op, resp.StatusCode, "the server switched to another protocol")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return unreadableError(r.op, resp.StatusCode, transportFailure(err))
	case len(body) > maxBody:
		return unreadableError(r.op, resp.StatusCode, "the response is too large")
	case out == nil && resp.StatusCode == http.StatusNoContent:
		return nil
	case out != nil && resp.StatusCode >= 200 && resp.StatusCode < 300:
		return c.decode(r.op, resp.StatusCode, body, out)
	default:
		return c.refusalError(r.op, resp, body)
	}
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	u := *c.base
	u.Path += "/v1/Account/" + c.credentials.AuthID + "/Subaccount/"
	if r.authID != "" {
		u.Path += r.authID + "/"
	}
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		// Without GetBody, net/http cannot rewind the body and never sends a request
		// with a body twice.
		req.GetBody = nil
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	req.SetBasicAuth(c.credentials.AuthID, c.credentials.Token.Reveal())
	return req, nil
}

// decode reads a 2xx response. If it has an error in it, or is not the documented
// one, the call may or may not have taken effect.
func (c *Client) decode(op Operation, status int, body []byte, out any) *Error {
	var response struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
	}
	isDocumented := op != OperationUpdate || status == http.StatusAccepted
	switch {
	case !isObject(body) || json.Unmarshal(body, &response) != nil:
		return unreadableError(op, status, "the response is not the expected JSON")
	case hasError(response.Error):
		return unreadableError(op, status, cmp.Or(c.scrub.message(body), "the response has an error without a message"))
	case !isDocumented && response.Message == nil:
		return unreadableError(op, status, "the response does not confirm the update")
	case json.Unmarshal(body, out) != nil:
		return unreadableError(op, status, "the response is not the expected JSON")
	}
	return nil
}

func hasError(member json.RawMessage) bool {
	return member != nil && !slices.Contains([]string{"null", `""`, "false"}, string(member))
}

func unreadableError(op Operation, status int, message string) *Error {
	return &Error{Kind: KindUnknown, Operation: op, Status: status, Message: message}
}

func isObject(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '{' && json.Valid(body)
}

// kinds has the statuses that need another Kind than KindInvalid (4xx) or KindUnknown.
var kinds = map[int]Kind{
	http.StatusUnauthorized: KindUnauthorized, http.StatusForbidden: KindForbidden, http.StatusNotFound: KindNotFound,
	http.StatusMethodNotAllowed: KindMethodNotAllowed, http.StatusTooManyRequests: KindRateLimited,
	http.StatusRequestTimeout: KindUnknown, http.StatusTooEarly: KindUnknown, statusClientClosedRequest: KindUnknown,
}

// statusClientClosedRequest is the status of some proxies for a call that they gave up.
const statusClientClosedRequest = 499

// refusalError returns the Error for a response that is not success. A refusal is
// definite only if its body is a JSON object: a proxy may send any other body after
// Plivo has acted.
func (c *Client) refusalError(op Operation, resp *http.Response, body []byte) *Error {
	e := &Error{Kind: KindUnknown, Operation: op, Status: resp.StatusCode, RetryAfter: retryAfter(resp)}
	if !isObject(body) {
		e.Message = statusText(resp.StatusCode) + ", without a JSON body"
		return e
	}
	e.Message = cmp.Or(c.scrub.message(body), statusText(resp.StatusCode))
	if kind, ok := kinds[resp.StatusCode]; ok {
		e.Kind = kind
	} else if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		e.Kind = KindInvalid
	}
	return e
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "unknown status"
}

// retryAfter returns the Retry-After header, at most one hour; 0 if there is none. It
// compares a date with the Date header of the response, because the clocks of two
// machines differ.
func retryAfter(resp *http.Response) time.Duration {
	v := resp.Header.Get("Retry-After")
	d := time.Duration(0)
	if s, err := strconv.Atoi(v); err == nil || errors.Is(err, strconv.ErrRange) {
		d = time.Duration(min(max(s, 0), 3600)) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		now, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		d = t.Sub(now)
	}
	return min(max(d, 0), time.Hour)
}
