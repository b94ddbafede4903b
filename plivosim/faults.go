// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Fault makes requests fail that the server has admitted: with valid credentials,
// within the rate limit, and with a path and method that exist. It has four
// independent parts: which requests it strikes, When the server makes the requested
// change, What happens to the response, and how the rows of a list are distorted. The
// server tries faults in the order of their injection. The first that strikes is the
// only one for a request.
//
// A new field also needs a line in fields and in faultHelp (faulttext.go) and its check
// in Validate. A field that selects requests takes effect in pickFault, any other in
// strike.go. A new Body needs an entry in bodies; a new What takes effect in response.go.
// The test of FaultHelp fails if the help lacks one.
//
// Examples:
//
//	{Status: 503}                                 refused, nothing done
//	{Status: 429, RetryAfter: 2}                  rate limited
//	{Ops: {OpCreate}, When: After, What: Cut}     created, but the response is lost
//	{Ops: {OpCreate}, What: Cut}                  lost on the way to the server
//	{Ops: {OpCreate}, When: After, Status: 502}   created, but the response is an error
//	{Ops: {OpCreate}, When: Late, What: Hang, Delay: d}
//	                                              created after the client gave up
//	{Status: 307, Location: "http://elsewhere/"}  redirected
//	{Status: 404, Body: BodyEmptyObject}          an error in another form
//	{Ops: {OpGet}, Status: 404}                   every get is 404
//	{Ops: {OpList}, Rows: Stale}                  a list that lags
//	{Ops: {OpList}, Shift: 1}                     a row missed between pages
type Fault struct {
	// Ops are the requests that it strikes; all if empty.
	Ops []Op `json:"ops,omitempty"`
	// Account and AuthID limit it to one main account and to one subaccount in the
	// path. Creates and lists have no subaccount in the path.
	Account string `json:"account,omitempty"`
	AuthID  string `json:"authID,omitempty"`
	// Skip is the number of requests that pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often it strikes; 0 means until it is removed.
	Times int `json:"times,omitempty"`
	// Probability of each strike, above 0 and up to 1; 0 means always.
	Probability float64 `json:"probability,omitempty"`

	When When `json:"when,omitempty"`
	What What `json:"what,omitempty"`
	// Delay depends on When and What. With Late, the server makes the change after this
	// time; 0 waits for CommitLate. With Hang but without Late, the connection hangs for
	// this time before it is cut; 0 hangs until the client goes away. Otherwise, the
	// response or the cut waits for this time.
	Delay time.Duration `json:"delay,omitempty"`

	// Status of the response. 0 means the actual one, or 500 if the request was not
	// carried out. A 204 has no body, even if Body is set.
	Status int  `json:"status,omitempty"`
	Body   Body `json:"body,omitempty"`
	// Text is a literal body instead of Body.
	Text string `json:"text,omitempty"`
	// RetryAfter is the header Retry-After in seconds; 0 means no header.
	RetryAfter int `json:"retryAfter,omitempty"`
	// Location is the header of a redirect.
	Location string `json:"location,omitempty"`

	// The following fields distort lists. A fault with one of them strikes lists only.

	Rows Rows `json:"rows,omitempty"`
	// Without is the auth_id of a row to omit, also from total_count.
	Without string `json:"without,omitempty"`
	// Shift moves the rows of every page after the first, as if the list had changed
	// in between. A positive number misses so many rows, a negative one repeats them.
	Shift int `json:"shift,omitempty"`
	// Total is added to total_count and does not change the rows.
	Total int `json:"total,omitempty"`
}

// When says when the server makes the change of a create, an update or a delete. It
// always carries out a read before the response.
type When string

// The times of a change.
const (
	Before When = ""      // the fault strikes before the change: it is never made
	After  When = "after" // the change is made first
	Late   When = "late"  // the response says that no change was made; it is made after Delay
)

var allWhens = []When{Before, After, Late}

// What says what happens to the response.
type What string

// What can happen to a response.
const (
	Answer   What = ""          // sent, with Status, Body and the headers
	Cut      What = "cut"       // not sent: the connection is cut
	CutShort What = "cut-short" // cut in the middle of the body, if there is one
	Hang     What = "hang"      // not sent, and the connection stays open for a while
)

var allWhats = []What{Answer, Cut, CutShort, Hang}

// Body is a form of the response's body. By default, a Status of 300 or more has an
// error in the form of Plivo's documentation, and any other Status the actual body.
type Body string

// The forms of a body. Each but BodyDefault and BodyTruncated replaces the actual body.
const (
	BodyDefault      Body = ""
	BodyEmpty        Body = "empty"          // no bytes
	BodyEmptyObject  Body = "{}"             // Plivo was seen to send it with a 404
	BodyHTML         Body = "html"           // as a proxy would send it
	BodyTruncated    Body = "truncated"      // the first half of the body
	BodyErrorObject  Body = "error-object"   // error is a nested object
	BodyErrorWithout Body = "error-no-apiid" // an error without api_id
	BodyReflect      Body = "reflect"        // an error that repeats the credentials and the request
	BodyHuge         Body = "huge"           // 16 MiB of valid JSON
)

// Rows says where the rows of a list come from.
type Rows string

// The sources of rows.
const (
	Live  Rows = ""
	Stale Rows = "stale" // as they were at the injection of the fault
	None  Rows = "none"  // an empty list, with total_count 0
)

var allRows = []Rows{Live, Stale, None}

func (f Fault) distorts() bool {
	return f.Rows != Live || f.Without != "" || f.Shift != 0 || f.Total != 0
}

// Validate returns an error for a fault that can never strike or that contradicts
// itself.
func (f Fault) Validate() error {
	for _, op := range f.Ops {
		if !slices.Contains(allOps(), op) {
			return fmt.Errorf("no such op: %q", op)
		}
		if f.distorts() && op != OpList {
			return fmt.Errorf("rows, without, shift and total are for lists, not for %q", op)
		}
		if f.AuthID != "" && !isOnItem(op) {
			return fmt.Errorf("authID is the subaccount in a path, and %q has none", op)
		}
	}
	hasValidStatus := f.Status == 0 || isStatus(f.Status)
	switch {
	case f.AuthID != "" && f.distorts():
		return fmt.Errorf("authID is the subaccount in a path, and a list has none")
	case !slices.Contains(allWhens, f.When):
		return fmt.Errorf("no such when: %q", f.When)
	case !slices.Contains(allWhats, f.What):
		return fmt.Errorf("no such what: %q", f.What)
	case !slices.Contains(allRows, f.Rows):
		return fmt.Errorf("no such rows: %q", f.Rows)
	case !slices.Contains(allBodies(), f.Body):
		return fmt.Errorf("no such body: %q", f.Body)
	case !hasValidStatus:
		return fmt.Errorf("status %d is not between 200 and 599", f.Status)
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability %v is not between 0 and 1", f.Probability)
	case f.Skip < 0 || f.Times < 0 || f.Delay < 0 || f.RetryAfter < 0:
		return fmt.Errorf("skip, times, delay and retryAfter cannot be negative")
	case f.Text != "" && f.Body != BodyDefault:
		return fmt.Errorf("text and body exclude each other")
	}
	return nil
}

func isStatus(status int) bool { return status >= 200 && status <= 599 }

// injected is an active fault.
type injected struct {
	Fault
	id     int
	seen   int                      // number of matching requests
	struck int                      // number of strikes
	frozen map[string][]*Subaccount // for Stale: the rows of each account
}

// Inject activates a fault and returns its ID for RemoveFault. It panics if Validate
// returns an error: a test with a fault that never strikes cannot fail.
func (s *Server) Inject(f Fault) (id int) {
	if err := f.Validate(); err != nil {
		panic("plivosim: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastFault++
	in := &injected{Fault: f, id: s.lastFault}
	if f.Rows == Stale {
		in.frozen = map[string][]*Subaccount{}
		for id, a := range s.accounts {
			in.frozen[id] = slices.Clone(a.rows)
		}
	}
	s.faults = append(s.faults, in)
	return in.id
}

// RemoveFault removes a fault. It returns false if there is none with this ID.
func (s *Server) RemoveFault(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *injected) bool { return f.id == id })
	return len(s.faults) < n
}

// ClearFaults removes all faults. The server still makes pending late changes.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// pickFault returns the fault that strikes this request, or nil.
func (s *Server) pickFault(q *request) *injected {
	for _, f := range s.faults {
		if f.isUsedUp() || !f.matches(q) {
			continue
		}
		f.seen++
		if f.seen <= f.Skip || s.misses(f) {
			continue
		}
		f.struck++
		return f
	}
	return nil
}

func (f *injected) isUsedUp() bool { return f.Times > 0 && f.struck >= f.Times }

// misses draws whether a fault with a probability does not strike.
func (s *Server) misses(f *injected) bool {
	return f.Probability > 0 && s.rng.Float64() >= f.Probability
}

func (f *injected) matches(q *request) bool {
	isOp := len(f.Ops) == 0 || slices.Contains(f.Ops, q.op)
	isAccount := f.Account == "" || f.Account == q.account.id
	isAuthID := f.AuthID == "" || f.AuthID == q.id
	isListIfNeeded := !f.distorts() || q.op == OpList
	return isOp && isAccount && isAuthID && isListIfNeeded
}

// changes says whether a request is for a change.
func (q *request) changes() bool { return q.http.Method != http.MethodGet }
