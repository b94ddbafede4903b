// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// step is one call of a process.
type step struct {
	process *process
	what    string // "patch-subaccounts/status", or an operation of Plivo such as "create"
	request *http.Request
	send    func() (*http.Response, error)
}

// injection is a failure or an event that can be injected at a step.
type injection struct {
	name      string
	appliesTo func(what string) bool
	apply     func(*step) (*http.Response, error)
}

// The names of calls to the API server contain a hyphen, such as "get-secrets".

func always(string) bool           { return true }
func isPlivoCall(what string) bool { return !strings.Contains(what, "-") }
func isWrite(what string) bool     { return !isPlivoCall(what) && !strings.HasPrefix(what, "get-") }

func oneOf(operations ...plivosim.Op) func(string) bool {
	return func(what string) bool { return slices.Contains(operations, plivosim.Op(what)) }
}

var isPlivoChange = oneOf(plivosim.OpCreate, plivosim.OpUpdate, plivosim.OpDelete)

// injections contains all injections, in the order in which the walk tries them.
var injections = []injection{
	{"crash-before", always, func(s *step) (*http.Response, error) {
		s.process.kill()
		return nil, errDead
	}},
	{"crash-after", always, func(s *step) (*http.Response, error) {
		_, _ = s.send()
		s.process.kill()
		return nil, errDead
	}},
	{"terminated", always, func(s *step) (*http.Response, error) {
		s.process.stop() // like SIGTERM, which lets pending calls end
		return s.send()
	}},
	{"edit", always, duringCall((*world).rename)},
	{"remove", always, duringCall((*world).remove)},
	{"suspend", always, duringCall((*world).suspend)},
	{"blind", always, func(s *step) (*http.Response, error) {
		s.process.blindUntil.Store(new(time.Now().Add(12 * time.Second)))
		return s.send()
	}},
	{"overtaken", always, replacedDuring(2 * time.Second)},
	{"frozen", always, replacedDuring(time.Minute)},

	{"conflict", isWrite, func(s *step) (*http.Response, error) {
		s.process.world.touch(s.request.URL.Path)
		return s.send()
	}},
	{"refused", func(what string) bool { return !isPlivoCall(what) }, func(*step) (*http.Response, error) {
		return answer(http.StatusInternalServerError, []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,"message":"etcd is away"}`)), nil
	}},
	{"answer-lost", isWrite, func(s *step) (*http.Response, error) {
		_, _ = s.send()
		return nil, io.ErrUnexpectedEOF
	}},

	{"lost", isPlivoCall, withFault(plivosim.Fault{What: plivosim.Cut})},
	{"lost-after", isPlivoChange, withFault(plivosim.Fault{When: plivosim.After, What: plivosim.Cut})},
	{"late", isPlivoChange, withFault(plivosim.Fault{When: plivosim.Late, What: plivosim.Hang, Delay: 35 * time.Second})},
	{"too-late", isPlivoChange, withFault(plivosim.Fault{When: plivosim.Late, What: plivosim.Hang, Delay: 2 * time.Minute})}, // longer than the settle time
	{"500", isPlivoCall, withFault(plivosim.Fault{Status: http.StatusInternalServerError})},
	{"503-after", isPlivoChange, withFault(plivosim.Fault{When: plivosim.After, Status: http.StatusServiceUnavailable})},
	{"429", isPlivoCall, withFault(plivosim.Fault{Status: http.StatusTooManyRequests})},
	{"timeout", isPlivoChange, withFault(plivosim.Fault{When: plivosim.After, What: plivosim.Hang})},
	{"html", isPlivoCall, withFault(plivosim.Fault{When: plivosim.After, Status: http.StatusOK, Body: plivosim.BodyHTML})},
	{"404", oneOf(plivosim.OpGet, plivosim.OpUpdate, plivosim.OpDelete), withFault(plivosim.Fault{Status: http.StatusNotFound})},
	{"empty", oneOf(plivosim.OpList), withFault(plivosim.Fault{Rows: plivosim.None})},
	{"stale", oneOf(plivosim.OpList), withoutOurs(plivosim.Fault{})},
	{"shifted", oneOf(plivosim.OpList), withoutOurs(plivosim.Fault{Total: 1})},
}

// duringCall calls do during a call of the process: after the server has carried it out,
// and before the process gets the response.
func duringCall(do func(*world)) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		resp, err := s.send()
		do(s.process.world)
		time.Sleep(time.Millisecond) // lets watches report the change before the response
		return resp, err
	}
}

// replacedDuring pauses the process before a call and starts a successor. After the pause
// both processes run, and the first does not know that it was replaced.
func replacedDuring(pause time.Duration) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		p, until := s.process, time.Now().Add(pause)
		p.frozenUntil.Store(&until)
		p.blindUntil.Store(&until)
		p.world.startSuccessor(until.Add(30 * time.Second))
		time.Sleep(pause)
		if err := s.request.Context().Err(); err != nil {
			return nil, err // net/http checks the context before it sends, too
		}
		return s.send()
	}
}

// withFault injects a fault of the simulated Plivo for this one call.
func withFault(f plivosim.Fault) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		f := f
		f.Ops, f.Times = []plivosim.Op{plivosim.Op(s.what)}, 1
		sim := s.process.world.sim
		id := sim.Inject(f)
		defer sim.RemoveFault(id)
		return s.send()
	}
}

// withoutOurs removes the operator's subaccount from a list response. Without f.Total the
// total is one less, as in a stale list. With f.Total = 1 the total is unchanged, as in a
// list that shifts between pages.
func withoutOurs(f plivosim.Fault) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		if ours := s.process.world.ours(); len(ours) > 0 {
			f := f
			f.Without = ours[0].AuthID
			return withFault(f)(s)
		}
		return s.send()
	}
}

// scheduled is an injection at the nth step of a kind. The position of a step among all
// steps would not identify it, because parallel steps have no fixed order.
type scheduled struct {
	what      string
	nth       int
	injection *injection
}

// schedule lists the injections of a run in their order. Its text form is
// "create#1:late,list#2:edit".
type schedule []scheduled

func (s schedule) String() string {
	var parts []string
	for _, x := range s {
		parts = append(parts, fmt.Sprintf("%s#%d:%s", x.what, x.nth, x.injection.name))
	}
	return strings.Join(parts, ",")
}

var scheduledForm = regexp.MustCompile(`^([a-z/-]+)#([0-9]+):([a-z0-9-]+)$`)

func parseSchedule(text string) (schedule, error) {
	var s schedule
	for part := range strings.SplitSeq(text, ",") {
		m := scheduledForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("got %q, want the form step#n:injection", part)
		}
		i := slices.IndexFunc(injections, func(i injection) bool { return i.name == m[3] })
		nth, err := strconv.Atoi(m[2])
		if err != nil || i < 0 || !injections[i].appliesTo(m[1]) {
			return nil, fmt.Errorf("got %q, want an injection that applies to %s", part, m[1])
		}
		s = append(s, scheduled{m[1], nth, &injections[i]})
	}
	return s, nil
}
