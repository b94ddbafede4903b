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

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// step is one call that a process makes.
type step struct {
	process *process
	what    string // "patch-subaccounts/status", or one of Plivo's five
	request *http.Request
	send    func() (*http.Response, error)
}

// fault is what can happen at a step.
type fault struct {
	name   string
	at     func(what string) bool
	strike func(*step) (*http.Response, error)
}

func anywhere(string) bool     { return true }
func remote(what string) bool  { return !strings.Contains(what, "-") }
func written(what string) bool { return !remote(what) && !strings.HasPrefix(what, "get-") }

func oneOf(all ...string) func(string) bool {
	return func(what string) bool { return slices.Contains(all, what) }
}

var changing = oneOf("create", "update", "delete")

// faults are all that can happen, in the order in which they are tried.
var faults = []fault{
	{"crash-before", anywhere, func(s *step) (*http.Response, error) {
		s.process.kill()
		return nil, errDead
	}},
	{"crash-after", anywhere, func(s *step) (*http.Response, error) {
		_, _ = s.send()
		s.process.kill()
		return nil, errDead
	}},
	{"terminated", anywhere, func(s *step) (*http.Response, error) {
		s.process.stop() // as by SIGTERM: what is under way may end
		return s.send()
	}},
	{"edit", anywhere, meanwhile((*world).rename)},
	{"remove", anywhere, meanwhile((*world).remove)},
	{"suspend", anywhere, meanwhile((*world).suspend)},
	{"blind", anywhere, func(s *step) (*http.Response, error) {
		s.process.blindUntil.Store(new(time.Now().Add(12 * time.Second)))
		return s.send()
	}},
	{"overtaken", anywhere, overtaken(2 * time.Second)},
	{"frozen", anywhere, overtaken(time.Minute)},

	{"conflict", written, func(s *step) (*http.Response, error) {
		s.process.world.touch(s.request.URL.Path)
		return s.send()
	}},
	{"refused", func(what string) bool { return !remote(what) }, func(*step) (*http.Response, error) {
		return answer(http.StatusInternalServerError, []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,"message":"etcd is away"}`)), nil
	}},
	{"answer-lost", written, func(s *step) (*http.Response, error) {
		_, _ = s.send()
		return nil, io.ErrUnexpectedEOF
	}},

	{"lost", remote, inject(plivosim.Fault{What: plivosim.Cut})},
	{"lost-after", changing, inject(plivosim.Fault{When: plivosim.After, What: plivosim.Cut})},
	{"late", changing, inject(plivosim.Fault{When: plivosim.Late, What: plivosim.Hang, Delay: 35 * time.Second})},
	{"too-late", changing, inject(plivosim.Fault{When: plivosim.Late, What: plivosim.Hang, Delay: 2 * time.Minute})}, // more than is assumed of Plivo
	{"500", remote, inject(plivosim.Fault{Status: http.StatusInternalServerError})},
	{"503-after", changing, inject(plivosim.Fault{When: plivosim.After, Status: http.StatusServiceUnavailable})},
	{"429", remote, inject(plivosim.Fault{Status: http.StatusTooManyRequests})},
	{"timeout", changing, inject(plivosim.Fault{When: plivosim.After, What: plivosim.Hang})},
	{"html", remote, inject(plivosim.Fault{When: plivosim.After, Status: http.StatusOK, Body: plivosim.BodyHTML})},
	{"404", oneOf("get", "update", "delete"), inject(plivosim.Fault{Status: http.StatusNotFound})},
	{"empty", oneOf("list"), inject(plivosim.Fault{Rows: plivosim.None})},
	{"stale", oneOf("list"), withoutOurs(plivosim.Fault{})},
	{"shifted", oneOf("list"), withoutOurs(plivosim.Fault{Total: 1})},
}

// meanwhile has somebody do something while a call is under way: after it was
// carried out, and before it is answered.
func meanwhile(do func(*world)) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		resp, err := s.send()
		do(s.process.world)
		time.Sleep(time.Millisecond) // watches tell of it meanwhile
		return resp, err
	}
}

// overtaken has the process stand still before a call while another one works,
// and go on, knowing nothing of it, beside that one.
func overtaken(pause time.Duration) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		p, until := s.process, time.Now().Add(pause)
		p.frozenUntil.Store(&until)
		p.blindUntil.Store(&until)
		p.world.replace(until.Add(30 * time.Second))
		time.Sleep(pause)
		if err := s.request.Context().Err(); err != nil {
			return nil, err // as net/http, which looks before it sends
		}
		return s.send()
	}
}

// inject has the simulated Plivo do something to this one call.
func inject(f plivosim.Fault) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		f := f
		f.Ops, f.Times = []plivosim.Op{plivosim.Op(s.what)}, 1
		sim := s.process.world.sim
		id := sim.Inject(f)
		defer sim.RemoveFault(id)
		return s.send()
	}
}

// withoutOurs has a list lack the row that matters: with the total one less,
// as an older list, or with the total as it is, as one that shifts.
func withoutOurs(f plivosim.Fault) func(*step) (*http.Response, error) {
	return func(s *step) (*http.Response, error) {
		if ours := s.process.world.ours(); len(ours) > 0 {
			f := f
			f.Without = ours[0].AuthID
			return inject(f)(s)
		}
		return s.send()
	}
}

// strike is a fault at the nth step of a kind. A step is told by its kind and
// not by its place among all, because what runs side by side may change places.
type strike struct {
	what  string
	nth   int
	fault *fault
}

// schedule is which faults a run meets, in this order. It is written as in
// "create#1:late,list#2:edit".
type schedule []strike

func (s schedule) String() string {
	var parts []string
	for _, x := range s {
		parts = append(parts, fmt.Sprintf("%s#%d:%s", x.what, x.nth, x.fault.name))
	}
	return strings.Join(parts, ",")
}

var strikeForm = regexp.MustCompile(`^([a-z/-]+)#([0-9]+):([a-z0-9-]+)$`)

func parseSchedule(text string) (schedule, error) {
	var s schedule
	for part := range strings.SplitSeq(text, ",") {
		m := strikeForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("%q is not of the form step#n:fault", part)
		}
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == m[3] })
		nth, err := strconv.Atoi(m[2])
		if err != nil || i < 0 || !faults[i].at(m[1]) {
			return nil, fmt.Errorf("%q: there is no such fault there", part)
		}
		s = append(s, strike{m[1], nth, &faults[i]})
	}
	return s, nil
}
