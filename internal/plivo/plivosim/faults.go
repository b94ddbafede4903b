package plivosim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Fault makes requests that were admitted (good credentials, within the rate
// limit, a path and method that exist) go wrong. It has four independent parts:
// which requests it strikes, When the change that was asked for is made, What
// becomes of the answer, and how the rows of a list are distorted. Faults are
// asked in the order in which they were injected, and the first that strikes is
// the only one for that request.
//
// Some of what can be said:
//
//	{Status: 503}                                 refused, nothing done
//	{Status: 429, RetryAfter: 2}                  throttled
//	{Ops: {OpCreate}, When: After, What: Cut}     made, and the answer lost
//	{Ops: {OpCreate}, What: Cut}                  lost on the way to the server
//	{Ops: {OpCreate}, When: After, Status: 502}   made, and then an error
//	{Ops: {OpCreate}, When: Late, What: Hang, Delay: d}
//	                                              made after the client gave up
//	{Status: 307, Location: "http://elsewhere/"}  redirected
//	{Status: 404, Body: BodyEmptyObject}          an odd error
//	{Ops: {OpGet}, Status: 404}                   nothing can be got
//	{Ops: {OpList}, Rows: Stale}                  a list that lags
//	{Ops: {OpList}, Shift: 1}                     a row missed between pages
type Fault struct {
	// Ops are the requests it strikes; none: all.
	Ops []Op `json:"ops,omitempty"`
	// Account and AuthID narrow it to one main account and to one subaccount in
	// the path, which creates and lists do not have.
	Account string `json:"account,omitempty"`
	AuthID  string `json:"authID,omitempty"`
	// Skip lets so many requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often it strikes; 0: until it is removed.
	Times int `json:"times,omitempty"`
	// Probability, over 0 up to 1, is that of each strike; 0: always.
	Probability float64 `json:"probability,omitempty"`

	When When `json:"when,omitempty"`
	What What `json:"what,omitempty"`
	// Delay: with Late, how long after the request the change is made, and 0
	// waits for CommitLate. With Hang, how long it hangs before it is cut, and 0
	// is until the client goes away (always so with Late). Otherwise the
	// answer, or the cut in its place, is held back for so long.
	Delay time.Duration `json:"delay,omitempty"`

	// Status of the answer; 0: the true one, or 500 where the request was not
	// carried out. A 204 carries no body, whatever Body says.
	Status int  `json:"status,omitempty"`
	Body   Body `json:"body,omitempty"`
	// Text is a body, literally, in place of Body.
	Text string `json:"text,omitempty"`
	// RetryAfter is that header, in seconds; 0: none.
	RetryAfter int `json:"retryAfter,omitempty"`
	// Location is that header, for a redirect.
	Location string `json:"location,omitempty"`

	// The rest distorts lists, and makes a fault strike lists only.

	Rows Rows `json:"rows,omitempty"`
	// Without is the auth_id of a row that is left out, of total_count too.
	Without string `json:"without,omitempty"`
	// Shift moves the rows of every page but the first, as if the list had
	// changed meanwhile: n > 0 misses n rows, n < 0 repeats n rows.
	Shift int `json:"shift,omitempty"`
	// Total is added to total_count alone.
	Total int `json:"total,omitempty"`
}

// When says when the change that a create, an update or a delete asks for is
// made. What only reads is always carried out before the answer.
type When string

// The times of a change.
const (
	Before When = ""      // struck before it is made: it never is
	After  When = "after" // made first, as if nothing were wrong
	Late   When = "late"  // answered as if it were not made, and made Delay later
)

// What says what becomes of the answer.
type What string

// The fates of an answer.
const (
	Answer   What = ""          // sent, with Status, Body and the headers
	Cut      What = "cut"       // none: the connection is cut
	CutShort What = "cut-short" // cut in the middle of the body, where there is one
	Hang     What = "hang"      // none, and the connection stays open for a while
)

// Body is a form of the answer's body. By default a Status of 300 or more has
// an error in Plivo's documented form, and any other the true body.
type Body string

// The forms of a body. All but BodyTruncated put something else in the place
// of the true body.
const (
	BodyDefault      Body = ""
	BodyEmpty        Body = "empty"          // no bytes
	BodyEmptyObject  Body = "{}"             // seen in the wild with a 404
	BodyHTML         Body = "html"           // as a proxy in between would send
	BodyTruncated    Body = "truncated"      // the first half of what it would have been
	BodyErrorObject  Body = "error-object"   // error is a nested object
	BodyErrorWithout Body = "error-no-apiid" // an error without api_id
	BodyReflect      Body = "reflect"        // an error that repeats the credentials and the request
	BodyHuge         Body = "huge"           // 16 MiB of valid JSON
)

var allBodies = []Body{BodyDefault, BodyEmpty, BodyEmptyObject, BodyHTML, BodyTruncated,
	BodyErrorObject, BodyErrorWithout, BodyReflect, BodyHuge}

// Rows says where the rows of a list come from.
type Rows string

// The sources of rows.
const (
	Live  Rows = ""
	Stale Rows = "stale" // as they were when the fault was injected
	None  Rows = "none"  // an empty list, with total_count 0
)

func (f Fault) distorts() bool {
	return f.Rows != Live || f.Without != "" || f.Shift != 0 || f.Total != 0
}

// Validate refuses a fault that can never strike, or not as it reads.
func (f Fault) Validate() error {
	for _, op := range f.Ops {
		if !slices.Contains(allOps, op) {
			return fmt.Errorf("no such op: %q", op)
		}
		if f.distorts() && op != OpList {
			return fmt.Errorf("rows, without, shift and total are for lists, not for %q", op)
		}
		if f.AuthID != "" && !slices.Contains([]Op{OpGet, OpUpdate, OpDelete}, op) {
			return fmt.Errorf("authID is the subaccount in a path, and %q has none", op)
		}
	}
	switch {
	case f.AuthID != "" && f.distorts():
		return fmt.Errorf("authID is the subaccount in a path, and a list has none")
	case !slices.Contains([]When{Before, After, Late}, f.When):
		return fmt.Errorf("no such when: %q", f.When)
	case !slices.Contains([]What{Answer, Cut, CutShort, Hang}, f.What):
		return fmt.Errorf("no such what: %q", f.What)
	case !slices.Contains([]Rows{Live, Stale, None}, f.Rows):
		return fmt.Errorf("no such rows: %q", f.Rows)
	case !slices.Contains(allBodies, f.Body):
		return fmt.Errorf("no such body: %q", f.Body)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
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

// injected is a fault in force.
type injected struct {
	Fault
	id     int
	seen   int
	struck int
	frozen map[string][]*Subaccount // for Stale: each account's rows
}

// Inject puts a fault in force and returns the ID that RemoveFault takes. It
// panics on what Validate refuses: a fault that never strikes would make a test
// that cannot fail.
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

// RemoveFault ends a fault. False: there is none of this ID.
func (s *Server) RemoveFault(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *injected) bool { return f.id == id })
	return len(s.faults) < n
}

// ClearFaults ends every fault. Changes that are still to be made late will be.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// pickFault returns the fault that strikes this request, nil for none.
func (s *Server) pickFault(q *request) *injected {
	for _, f := range s.faults {
		if !f.matches(q) || f.Times > 0 && f.struck >= f.Times {
			continue
		}
		f.seen++
		if f.seen <= f.Skip || f.Probability > 0 && s.rng.Float64() >= f.Probability {
			continue
		}
		f.struck++
		return f
	}
	return nil
}

func (f *injected) matches(q *request) bool {
	return (len(f.Ops) == 0 || slices.Contains(f.Ops, q.op)) &&
		(f.Account == "" || f.Account == q.account.id) &&
		(f.AuthID == "" || f.AuthID == q.id) &&
		(!f.distorts() || q.op == OpList)
}

// changes tells whether a request asks for a change.
func (q *request) changes() bool { return q.http.Method != http.MethodGet }
