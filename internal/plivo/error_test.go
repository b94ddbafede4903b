// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// wantKind fails unless err is an *Error of this kind and operation that shows
// no credential.
func wantKind(t *testing.T, err error, op Operation, kind Kind) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: got %v, want an *Error of kind %s", op, err, kind)
	}
	if e.Kind != kind || e.Operation != op {
		t.Errorf("%s: got kind %s of %q (%v), want %s", op, e.Kind, e.Operation, err, kind)
	}
	wantNoLeak(t, err.Error())
	return e
}

// definiteKind states the rule independently of the client: with a JSON object every
// 4xx is definite, except the statuses of a proxy that gave the call up.
func definiteKind(status int) (Kind, bool) {
	kinds := map[int]Kind{401: KindUnauthorized, 403: KindForbidden, 404: KindNotFound, 405: KindMethodNotAllowed, 429: KindRateLimited}
	if kind, ok := kinds[status]; ok {
		return kind, true
	}
	if status < 400 || status > 498 || status == 408 || status == 425 {
		return KindUnknown, false
	}
	return KindInvalid, true
}

func TestRefusal_4xxWithJSONObject_IsDefinite(t *testing.T) {
	bodies := []struct {
		name, body string
		object     bool
	}{
		{"documented", `{"api_id": "x", "error": "no"}`, true},
		{"empty object", `{}`, true},
		{"object between white space", " \n{ } \t", true},
		{"nested error", `{"error": {"code": 1, "list": ["a", null]}}`, true},
		{"error is null", `{"error": null}`, true},
		{"empty", ``, false},
		{"white space", ` `, false},
		{"HTML", `<html>{}</html>`, false},
		{"truncated", `{"api_id": "x", "err`, false},
		{"text after the object", `{} {}`, false},
		{"array", `[{}]`, false},
		{"string", `"no"`, false},
		{"null", `null`, false},
		{"byte order mark", "\ufeff{}", false},
	}
	statuses := []int{
		300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 418,
		422, 425, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 511, 520, 599, 999,
	}
	for _, five := range fiveCalls {
		for _, status := range statuses {
			for _, body := range bodies {
				want := KindUnknown
				if body.object {
					want, _ = definiteKind(status)
				}
				err := five.call(t.Context(), newInProcess(always(status, body.body)), absentID)
				e := wantKind(t, err, five.op, want)
				if e.Status != status || e.Message == "" || strings.HasPrefix(e.Message, ",") || e.IsDefinite() != (want != KindUnknown) {
					t.Errorf("%s, %d with %s: got %+v, want kind %s", five.op, status, body.name, e, want)
				}
			}
		}
	}
}

// The same over real connections, with faults that only the simulator has.
func TestCall_BrokenResponse_IsUnknown(t *testing.T) {
	faults := []plivosim.Fault{
		{What: plivosim.Cut},
		{What: plivosim.Cut, When: plivosim.After},
		{Status: 400, What: plivosim.CutShort},
		{Status: 404, What: plivosim.CutShort},
		{Status: 400, Body: plivosim.BodyHuge},
		{Status: 200, Body: plivosim.BodyHuge},
		{Status: 404, Body: plivosim.BodyTruncated},
		{Status: 404, Body: plivosim.BodyEmpty},
		{Status: 404, Body: plivosim.BodyHTML},
		{Status: 502, Body: plivosim.BodyHTML, When: plivosim.After},
		{Status: 200, Body: plivosim.BodyHTML},
		{Status: 200, Body: plivosim.BodyEmpty},
		{Status: 503, RetryAfter: 1},
		{Status: 408},
		{Status: 307, Location: "https://elsewhere.example/"},
	}
	for _, fault := range faults {
		for _, five := range fiveCalls {
			sim, one := newSim()
			client := overHTTP(t, sim)
			sim.Inject(fault)
			wantKind(t, five.call(t.Context(), client, one), five.op, KindUnknown)
		}
	}
}

func TestCall_Timeout_IsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, when := range []plivosim.When{plivosim.Before, plivosim.After, plivosim.Late} {
			for _, five := range fiveCalls {
				sim, one := newSim()
				sim.Inject(plivosim.Fault{When: when, What: plivosim.Hang})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				e := wantKind(t, five.call(ctx, newInProcess(sim), one), five.op, KindUnknown)
				cancel()
				if e.Message != "timed out waiting for the response" {
					t.Errorf("%s: got message %q, want a timeout", five.op, e.Message)
				}
			}
		}
	})
}

func TestCall_NoServer_IsUnknown(t *testing.T) {
	base, err := ParseBaseURL("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, five := range fiveCalls {
		e := wantKind(t, five.call(t.Context(), NewClient(base, NewHTTPClient(), credentials, ""), absentID), five.op, KindUnknown)
		if e.Status != 0 || e.Message != "could not connect" {
			t.Errorf("got %+v, want status 0 and could not connect", e)
		}
	}
}

func TestCall_ConnectionNeverOpens_SaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, err := ParseBaseURL("https://plivo.test")
		if err != nil {
			t.Fatal(err)
		}
		client := NewHTTPClient()
		client.Transport.(*renewing).current.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = NewClient(base, client, credentials, "").Get(ctx, absentID)
		if e := wantKind(t, err, OperationGet, KindUnknown); !strings.Contains(e.Message, "before a connection was open") {
			t.Errorf("got %q, want a message about the connection", e.Message)
		}
	})
}

const goodRow = `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t", "name": "n", "enabled": true}`

func TestCall_Success_NeedsWellFormedResponse(t *testing.T) {
	cases := []struct {
		op     Operation
		status int
		body   string
		good   bool
	}{
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t"}`, true},
		{OperationCreate, 200, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t"}`, true},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ"}`, false},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": ""}`, false},
		{OperationCreate, 201, `{"auth_token": "t"}`, false},
		{OperationCreate, 201, `{"auth_id": "MAZZZZZZZZZZZZZZZZZZ", "auth_token": "t"}`, false},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ\n", "auth_token": "t"}`, false},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "****"}`, false},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t", "error": "no"}`, false},
		{OperationCreate, 201, `{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t", "message": {}, "name": []}`, true},
		{OperationCreate, 201, `{"error": "no"}`, false},
		{OperationCreate, 201, `{}`, false},
		{OperationCreate, 201, `null`, false},
		{OperationCreate, 204, ``, false},
		{OperationGet, 200, goodRow, true},
		{OperationGet, 200, strings.Replace(goodRow, "true", `"True"`, 1), true},
		{OperationGet, 200, strings.Replace(goodRow, "true", `"perhaps"`, 1), false},
		{OperationGet, 200, strings.Replace(goodRow, "SAZ", "SAY", 1), false},
		{OperationGet, 200, strings.Replace(goodRow, `"t"`, `""`, 1), false},
		{OperationGet, 200, strings.Replace(goodRow, `"t"`, `"****************************abcd"`, 1), false},
		{OperationGet, 200, strings.Replace(goodRow, `"n"`, `7`, 1), true},
		{OperationGet, 200, strings.Replace(goodRow, `"n"`, `[]`, 1), false},
		{OperationGet, 200, strings.Replace(goodRow, `}`, `, "error": "gone"}`, 1), false},
		{OperationGet, 200, strings.Replace(goodRow, `}`, `, "error": null, "created": 7, "account": []}`, 1), true},
		{OperationGet, 200, goodRow + "x", false},
		{OperationGet, 200, `{}`, false},
		{OperationGet, 204, ``, false},
		{OperationList, 200, `{"meta": {"total_count": 1}, "objects": [` + goodRow + `]}`, true},
		{OperationList, 200, `{"meta": {"total_count": 0}, "objects": []}`, true},
		{OperationList, 200, `{"meta": {"total_count": 0}, "objects": null}`, false},
		{OperationList, 200, `{"meta": {"total_count": 0}}`, false},
		{OperationList, 200, `{"meta": {}, "objects": []}`, false},
		{OperationList, 200, `{"meta": {"total_count": -1}, "objects": []}`, false},
		{OperationList, 200, `{"meta": {"total_count": "1"}, "objects": []}`, false},
		{OperationList, 200, `{"objects": []}`, false},
		{OperationList, 200, `{"meta": {"total_count": 1}, "objects": [{}, null, 7]}`, true},
		{OperationList, 200, `{"meta": {"total_count": 0}, "objects": [], "error": {}}`, false},
		{OperationList, 200, `{"meta": {"total_count": 21}, "objects": [` + strings.Repeat(goodRow+",", 20) + goodRow + `]}`, false},
		{OperationList, 200, `{"error": "but 200"}`, false},
		{OperationList, 200, `[]`, false},
		{OperationUpdate, 202, `{"api_id": "x", "message": "changed"}`, true},
		{OperationUpdate, 202, `{}`, true},
		{OperationUpdate, 202, `{"message": "changed", "error": ""}`, true},
		{OperationUpdate, 202, `{"error": "the name is taken"}`, false},
		{OperationUpdate, 202, `{"message": "changed", "error": {}}`, false},
		{OperationUpdate, 200, `{"message": "changed"}`, true},
		{OperationUpdate, 200, goodRow, false},
		{OperationUpdate, 202, ``, false},
		{OperationUpdate, 202, `"changed"`, false},
		{OperationUpdate, 202, `null`, false},
		{OperationUpdate, 204, ``, false},
		{OperationDelete, 204, ``, true},
		{OperationDelete, 200, `{}`, false},
		{OperationDelete, 200, ``, false},
		{OperationDelete, 202, `{"message": "deleted"}`, false},
	}
	for _, c := range cases {
		for _, five := range fiveCalls {
			if five.op != c.op {
				continue
			}
			err := five.call(t.Context(), newInProcess(always(c.status, c.body)), absentID)
			if c.good && err != nil {
				t.Errorf("%s, %d %s: got %v, want success", c.op, c.status, c.body, err)
			}
			if !c.good {
				wantKind(t, err, c.op, KindUnknown)
			}
		}
	}
}

func TestAsErrorAndIsKind_WrappedError_IsFound(t *testing.T) {
	limited := &Error{Kind: KindRateLimited, Operation: OperationGet, Status: 429, Message: "slow down"}
	wrapped := fmt.Errorf("reading: %w", limited)
	if AsError(nil) != nil || AsError(wrapped) != limited || AsError(errors.New("x")).Kind != KindUnknown {
		t.Error("AsError: got another error than the wrapped one")
	}
	if !IsKind(wrapped, KindRateLimited) || IsKind(nil, KindUnknown) || IsKind(errors.New("x"), KindUnknown) {
		t.Error("IsKind: got another kind than the wrapped one")
	}
	for kind := KindUnknown; kind <= KindRateLimited; kind++ {
		if kind.String() == "" {
			t.Errorf("kind %d: got no name, want one", kind)
		}
	}
}

func TestMetrics_EverySentRequest_HasDuration(t *testing.T) {
	durations.Reset()
	sim, one := newSim()
	client := newInProcess(sim)
	_, _ = client.Get(t.Context(), one)
	_, _ = client.Get(t.Context(), absentID)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = client.Get(ended, one) // not sent
	registry, served := newRegistry(), httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(served, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if !strings.Contains(served.Body.String(), `subaccount_operator_plivo_request_duration_seconds_count{operation="get"} 2`+"\n") {
		t.Errorf("got %s, want 2 gets", served.Body)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

var _ http.RoundTripper = inProcess{}
