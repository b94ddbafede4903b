// Package plivosim is a simulated Plivo Subaccount API, for tests, development
// and users' own pipelines.
//
// It behaves as Plivo's documentation says, and as the answers of the real API
// and the traffic of the official SDKs show. Where nobody has published what
// Plivo does, the simulator takes the stricter reading, so that a client that
// pleases it pleases Plivo too: a path without its trailing slash is 404, a
// list's limit outside of 1 to 20 is 400, a DELETE whose query and body
// disagree about the cascade is 400, a second DELETE is 404.
//
// Three things reach past the API: a Go interface to look and to change things
// by hand as a person in Plivo's console would (Subaccounts, Add, Edit, Remove,
// …), faults (Fault) and the same over HTTP under /_sim/ (control.go).
package plivosim

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// Options says what a Server starts with.
type Options struct {
	// Accounts are the main accounts: auth_id (MA…) to token.
	Accounts map[string]string
	// RateLimit is the number of requests that one main account may make in any
	// 5 s; 0: no limit. Plivo's documentation gives 300.
	RateLimit int
	// Latency is added to every answer of the API, after the request was
	// carried out: a client that gives up meanwhile loses the answer only.
	Latency time.Duration
	// Seed makes IDs, tokens and the dice of faults repeatable; 0: random.
	Seed uint64
	// Now is the clock of dates, of Call.At and of the rate limit; nil:
	// time.Now. Latency and the delays of faults pass in real time.
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
	tokens    map[string]struct{} // that there ever were
	faults    []*injected
	lastFault int
	late      []*request
	calls     []*Call
	lastCall  int
	inFlight  map[string]int // calls being answered, by account
}

// New returns a Server that holds its main accounts and nothing else.
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

// request is one call to the API on its way through the server.
type request struct {
	route
	http    *http.Request
	body    []byte
	args    arguments
	argErr  error
	account *account
	call    *Call
}

// ServeHTTP answers the API under /v1/ and the control endpoint under /_sim/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control.ServeHTTP(w, r)
		return
	}
	// Only once the body is read does net/http tell that the client is gone.
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

// end counts a call as answered.
func (s *Server) end(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[q.accountID]--; s.inFlight[q.accountID] == 0 {
		delete(s.inFlight, q.accountID)
	}
}

// handle carries a request out, or whatever a fault makes of it, and returns
// what is to be sent.
func (s *Server) handle(q *request) delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.call = s.record(q)
	d := delivery{hold: s.latency}
	if refused, ok := s.admit(q); !ok {
		d.answer = refused
	} else if f := s.pickFault(q); f != nil {
		q.call.Fault = f.String()
		d = s.faulty(q, f)
	} else {
		d.answer = s.perform(q, nil)
	}
	if d.what == Answer || d.what == CutShort {
		q.call.Status = d.answer.status
	}
	return d
}

// admit checks credentials, path, method and rate, in this order, so that
// nobody spends the budget of an account that is not theirs.
func (s *Server) admit(q *request) (answer, bool) {
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
	return answer{}, true
}

// perform carries out an admitted request as Plivo would; f distorts lists.
func (s *Server) perform(q *request, f *injected) answer {
	if q.argErr != nil {
		return s.refuse(http.StatusBadRequest, q.argErr.Error())
	}
	switch q.op {
	case OpCreate:
		return s.create(q)
	case OpGet:
		return s.get(q)
	case OpList:
		return s.list(q, f)
	case OpUpdate:
		return s.update(q)
	case OpDelete:
		return s.delete(q)
	default:
		return s.neighbours(q)
	}
}

// route is what a method and a path ask for.
type route struct {
	op        Op
	accountID string        // the main account in the path
	id        string        // the subaccount in the path
	kind      NeighbourKind // set: a neighbour's collection
	allow     string        // the methods of this path; "": no such path
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
	var ops map[string]Op
	switch {
	case len(part) == 6 && part[4] == "Subaccount":
		ops = map[string]Op{http.MethodGet: OpList, http.MethodPost: OpCreate}
		r.allow = "GET, POST"
	case len(part) == 7 && part[4] == "Subaccount" && part[5] != "":
		r.id = part[5]
		ops = map[string]Op{http.MethodGet: OpGet, http.MethodPost: OpUpdate, http.MethodDelete: OpDelete}
		r.allow = "GET, POST, DELETE"
	case len(part) == 6 && NeighbourKind(part[4]).valid():
		r.kind = NeighbourKind(part[4])
		ops = map[string]Op{http.MethodGet: OpOther, http.MethodPost: OpOther}
		r.allow = "GET, POST"
	}
	if op, ok := ops[method]; ok {
		r.op, r.allowed = op, true
	}
	return r
}

// wait passes d in real time; false: the client went away first.
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
