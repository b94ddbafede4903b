package plivosim

import (
	"slices"
	"time"
)

// Op is what a request asks for.
type Op string

// The five calls of the Subaccount API, and everything else: the neighbours,
// unknown paths, wrong methods.
const (
	OpCreate Op = "create"
	OpGet    Op = "get"
	OpList   Op = "list"
	OpUpdate Op = "update"
	OpDelete Op = "delete"
	OpOther  Op = "other"
)

var allOps = []Op{OpCreate, OpGet, OpList, OpUpdate, OpDelete, OpOther}

// maxCalls is how many calls are remembered; older ones are forgotten.
const maxCalls = 100_000

// Call is one request to the API as the server saw it. It never holds a token.
type Call struct {
	// Seq counts from 1, and goes on through ResetCalls.
	Seq    int       `json:"seq"`
	At     time.Time `json:"at"`
	Op     Op        `json:"op"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	// Account is the main account in the path.
	Account string `json:"account,omitempty"`
	// AuthID is the subaccount in the path; for a create that was carried out
	// the new one.
	AuthID string `json:"auth_id,omitempty"`
	// Status is what was answered; 0: nothing was.
	Status int `json:"status"`
	// Committed: the change that was asked for was made, whatever was answered;
	// one that a fault makes late turns true when it happens.
	Committed bool `json:"committed"`
	// InFlight is how many calls of this main account were being answered when
	// this one came, itself included.
	InFlight int `json:"in_flight"`
	// Fault is the fault that struck, in its compact form.
	Fault string `json:"fault,omitempty"`
	// Name, Enabled and Cascade are the request's arguments, nil where left out
	// (Name: empty).
	Name    string `json:"name,omitempty"`
	Enabled *bool  `json:"enabled,omitempty"`
	Cascade *bool  `json:"cascade,omitempty"`
	// Limit and Offset are those of a list, as sent or by default.
	Limit  int `json:"limit,omitempty"`
	Offset int `json:"offset,omitempty"`
}

func (s *Server) record(q *request) *Call {
	s.lastCall++
	s.inFlight[q.accountID]++
	c := &Call{
		InFlight: s.inFlight[q.accountID],
		Seq:      s.lastCall, At: s.now(), Op: q.op, Method: q.http.Method, Path: q.http.URL.Path,
		Account: q.accountID, AuthID: q.id, Enabled: q.args.enabled, Cascade: q.args.cascade,
	}
	if q.args.name != nil {
		c.Name = *q.args.name
	}
	if q.op == OpList {
		p, _ := pageOf(q.http.URL.Query())
		c.Limit, c.Offset = p.limit, p.offset
	}
	if len(s.calls) >= maxCalls {
		s.calls = slices.Delete(s.calls, 0, maxCalls/2)
	}
	s.calls = append(s.calls, c)
	return c
}

// Calls returns the requests since the start or the last ResetCalls, oldest
// first; of very many the newest (at least 50,000).
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.calls))
	for i, c := range s.calls {
		calls[i] = *c
	}
	return calls
}

// ResetCalls forgets the requests so far.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}
