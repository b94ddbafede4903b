package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// plivo is the simulated Plivo, a process.
type plivo struct {
	*process.Process
	url, token string
}

func mainID(account int) string { return fmt.Sprintf("MABENCH%013d", account) }

var listening = regexp.MustCompile(`listening on (\S+)\n`)

func startPlivo(program string, l load) (*plivo, error) {
	p := &plivo{token: "a-token-of-forty-characters-for-the-bench"}
	args := []string{"--listen", "127.0.0.1:0", "--rate-limit", fmt.Sprint(budget), "--latency", l.latency.String()}
	for i := range l.accounts {
		args = append(args, "--account", mainID(i)+":"+p.token)
	}
	log := &process.Log{}
	var err error
	if p.Process, err = process.Start(log, nil, program, args...); err != nil {
		return nil, err
	}
	for range 100 {
		if m := listening.FindStringSubmatch(log.String()); m != nil {
			p.url = m[1]
			return p, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("plivo-sim does not listen: %s", log)
}

// control speaks to the simulator's control endpoint.
func (p *plivo) control(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.url+"/_sim/"+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s /_sim/%s: %s", method, path, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// forget begins a new count.
func (p *plivo) forget(ctx context.Context) error {
	return p.control(ctx, http.MethodDelete, "calls", nil)
}

// calls are those since forget.
func (p *plivo) calls(ctx context.Context) (calls, error) {
	var all calls
	err := p.control(ctx, http.MethodGet, "calls", &all)
	return all, err
}

type calls []plivosim.Call

// count counts those of some kinds, or of all.
func (c calls) count(which func(*plivosim.Call) bool) int {
	n := 0
	for i := range c {
		if which(&c[i]) {
			n++
		}
	}
	return n
}

func (c calls) ops(op plivosim.Op) int {
	return c.count(func(c *plivosim.Call) bool { return c.Op == op })
}

func (c calls) refused() int {
	return c.count(func(c *plivosim.Call) bool { return c.Status == http.StatusTooManyRequests })
}

// lists of one main account, and how many of them were a list's beginning.
func (c calls) lists(account int) (all, begun int) {
	for i := range c {
		if c[i].Op == plivosim.OpList && c[i].Account == mainID(account) {
			all++
			if c[i].Offset == 0 {
				begun++
			}
		}
	}
	return all, begun
}

// swept says whether every main account's list was read so many times at
// least, and each time from beginning to end.
func (c calls) swept(l load, times int) bool {
	for i := range l.accounts {
		if all, begun := c.lists(i); begun < times || all != begun*l.pages(i) {
			return false
		}
	}
	return true
}

// perSweep is how many lists one sweep of every main account has taken.
func (c calls) perSweep(l load) float64 {
	sum := 0.0
	for i := range l.accounts {
		all, begun := c.lists(i)
		sum += float64(all) / float64(begun)
	}
	return sum
}

// amidSweep says whether a sweep of the first main account is under way that
// goes on for another 25 pages. The calls must be those of the last moments.
func (c calls) amidSweep(l load) bool {
	return c.count(func(c *plivosim.Call) bool {
		return c.Op == plivosim.OpList && c.Account == mainID(0) && c.Offset+25*pageSize < l.of(0)
	}) > 0
}
