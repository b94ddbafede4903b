// SPDX-License-Identifier: Apache-2.0

// Package plivosim is a simulator of Plivo's Subaccount API for tests, development and
// the pipelines of users.
//
// It behaves as Plivo's documentation, the responses of the real API and the traffic of
// the official SDKs show. If none of them covers a case, the simulator is strict, so
// that a client that works with it also works with Plivo. Examples: a path without its
// trailing slash is 404. A limit outside of 1 to 20 is 400. A DELETE with another
// cascade in the query than in the body is 400. A second DELETE is 404.
//
// Besides the API it has a Go interface that acts like a person in Plivo's console
// (console.go), faults (faults.go), and both over HTTP under /_sim/ (control.go).
//
// It must not import internal/plivo, so that an error in the client cannot hide in the
// simulator. Start with server.go; calls.go has the table of operations.
package plivosim

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxBody limits the body of a request, in bytes.
const maxBody = 1 << 20

// Options configure a Server.
type Options struct {
	// Accounts are the main accounts: auth_id (MA…) to token.
	Accounts map[string]string
	// RateLimit is the number of requests that one main account may make in any 5 s; 0
	// means no limit. Plivo's documentation allows 300.
	RateLimit int
	// Latency delays every response of the API. The server carries out the request
	// before it.
	Latency time.Duration
	// Seed makes IDs, tokens and the probability of faults repeatable; 0 means random.
	Seed uint64
	// Now is the clock for dates, Call.At and the rate limit; nil means time.Now. Latency
	// and the delays of faults use real time.
	Now func() time.Time
}

// Server is the simulated API. It is safe for concurrent use.
type Server struct {
	rateLimit int
	latency   time.Duration
	now       func() time.Time
	control   http.Handler

	mu        sync.Mutex
	rng       *rand.Rand
	accounts  map[string]*account
	tokens    map[string]struct{} // all tokens that have existed
	faults    []*injected
	lastFault int
	late      []*request
	calls     []*Call
	lastCall  int
	inFlight  map[string]int // calls in progress, by account
}

// New returns a Server with its main accounts and without subaccounts.
func New(o Options) *Server {
	s := &Server{
		rateLimit: o.RateLimit,
		latency:   o.Latency,
		now:       o.Now,
		rng:       newRNG(o.Seed),
		accounts:  map[string]*account{},
		tokens:    map[string]struct{}{},
		inFlight:  map[string]int{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.control = s.controlHandler()
	for id, token := range o.Accounts {
		s.SetToken(id, token)
	}
	return s
}

// request is a request to the API.
type request struct {
	route
	http    *http.Request
	body    []byte
	args    arguments
	argErr  error
	account *account
	call    *Call
}

// ServeHTTP serves the API under /v1/ and the control endpoint under /_sim/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control.ServeHTTP(w, r)
		return
	}
	// net/http notices that the client goes away only after the body was read.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q := &request{route: routeOf(r.Method, r.URL.Path), http: r, body: body}
	q.args, q.argErr = parseArguments(r.URL.Query(), body)
	d := s.handle(q)
	defer s.end(q)
	d.deliver(w, r)
}

// end counts a call as ended.
func (s *Server) end(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[q.accountID]--; s.inFlight[q.accountID] == 0 {
		delete(s.inFlight, q.accountID)
	}
}

// handle carries out a request, with the fault that strikes it, and returns its
// response.
func (s *Server) handle(q *request) delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.call = s.record(q)
	d := delivery{hold: s.latency}
	if refused, ok := s.admit(q); !ok {
		d.response = refused
	} else if f := s.pickFault(q); f != nil {
		q.call.Fault = f.String()
		d = s.handleFault(q, f)
	} else {
		d.response = s.perform(q, nil)
	}
	if d.what == Answer || d.what == CutShort {
		q.call.Status = d.response.status
	}
	return d
}

// admit checks the credentials before the rate limit, so that a client cannot use up
// the rate limit of another account. It then checks path and method.
func (s *Server) admit(q *request) (response, bool) {
	user, token, _ := q.http.BasicAuth()
	acc := s.accounts[user]
	switch {
	case acc != nil && acc.token == token:
	case s.isSubaccount(user, token):
		return s.refuse(http.StatusForbidden, "a subaccount cannot use this resource"), false
	default:
		a := s.refuse(http.StatusUnauthorized, "authentication failed")
		a.header = http.Header{"Www-Authenticate": {`Basic realm="Plivo"`}}
		return a, false
	}
	if q.accountID != "" && q.accountID != user {
		return s.refuse(http.StatusForbidden, "these credentials are for another account"), false
	}
	if !acc.window.allow(s.now(), s.rateLimit) {
		return s.refuse(http.StatusTooManyRequests, "rate limit exceeded"), false
	}
	if q.allow == "" {
		return s.refuse(http.StatusNotFound, "not found"), false
	}
	if !q.allowed {
		a := s.refuse(http.StatusMethodNotAllowed, "method not allowed")
		a.header = http.Header{"Allow": {q.allow}}
		return a, false
	}
	q.account = acc
	return response{}, true
}

// perform carries out an admitted request as Plivo would; f distorts lists.
func (s *Server) perform(q *request, f *injected) response {
	if q.argErr != nil {
		return s.refuse(http.StatusBadRequest, q.argErr.Error())
	}
	for _, o := range operations {
		if o.op == q.op {
			return o.handle(s, q, f)
		}
	}
	return s.neighbours(q)
}

// route is the meaning of a method and a path.
type route struct {
	op        Op
	accountID string        // the main account in the path
	id        string        // the subaccount in the path
	kind      NeighbourKind // of a neighbour's collection, else empty
	allow     string        // the methods of this path; empty if there is no such path
	allowed   bool
}

func routeOf(method, path string) route {
	r := route{op: OpOther}
	part := strings.Split(path, "/")
	if len(part) < 5 || part[1] != "v1" || part[2] != "Account" {
		return r
	}
	r.accountID = part[3]
	if part[len(part)-1] != "" {
		return r
	}
	ops := map[string]Op{} // by method
	switch {
	case len(part) == 6 && part[4] == "Subaccount":
		ops = subaccountOps(false)
	case len(part) == 7 && part[4] == "Subaccount" && part[5] != "":
		r.id = part[5]
		ops = subaccountOps(true)
	case len(part) == 6 && NeighbourKind(part[4]).valid():
		r.kind = NeighbourKind(part[4])
		ops = map[string]Op{http.MethodGet: OpOther, http.MethodPost: OpOther}
	}
	r.allow = strings.Join(slices.Sorted(maps.Keys(ops)), ", ")
	if op, ok := ops[method]; ok {
		r.op, r.allowed = op, true
	}
	return r
}

// subaccountOps returns the operations on one subaccount, or on the collection.
func subaccountOps(onItem bool) map[string]Op {
	ops := map[string]Op{}
	for _, o := range operations {
		if o.onItem == onItem {
			ops[o.method] = o.op
		}
	}
	return ops
}

// wait waits for d in real time. It returns false if the client goes away first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
