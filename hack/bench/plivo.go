// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// plivo is a process of the simulated Plivo.
type plivo struct {
	*process.Plivo
	token string
}

func mainID(account int) string { return fmt.Sprintf("MABENCH%013d", account) }

func startPlivo(program string, l load) (*plivo, error) {
	token := "a-token-of-forty-characters-for-the-bench"
	args := []string{"--rate-limit", fmt.Sprint(budget), "--latency", l.latency.String()}
	for i := range l.accounts {
		args = append(args, "--account", mainID(i)+":"+token)
	}
	p, err := process.StartPlivo(program, args...)
	if err != nil {
		return nil, err
	}
	return &plivo{p, token}, nil
}

// forget resets the recorded calls.
func (p *plivo) forget(ctx context.Context) error {
	return plivosim.Control(ctx, p.URL, http.MethodDelete, "calls", nil, nil)
}

// calls returns the calls since forget.
func (p *plivo) calls(ctx context.Context) (calls, error) {
	var all calls
	err := plivosim.Control(ctx, p.URL, http.MethodGet, "calls", nil, &all)
	return all, err
}

type calls []plivosim.Call

// count counts the calls of the given kinds; without kinds, all calls.
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

// lists counts the list calls of one main account, and those of them that start a
// sweep.
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

// swept reports whether every main account had at least that many whole sweeps and
// no incomplete one.
func (c calls) swept(l load, times int) bool {
	for i := range l.accounts {
		if all, begun := c.lists(i); begun < times || all != begun*l.pages(i) {
			return false
		}
	}
	return true
}

// perSweep returns the number of list calls of one sweep of every main account.
func (c calls) perSweep(l load) float64 {
	sum := 0.0
	for i := range l.accounts {
		all, begun := c.lists(i)
		sum += float64(all) / float64(begun)
	}
	return sum
}

// amidSweep reports whether a sweep of the first main account is running and has at
// least 25 pages left. The calls must be recent.
func (c calls) amidSweep(l load) bool {
	return c.count(func(c *plivosim.Call) bool {
		return c.Op == plivosim.OpList && c.Account == mainID(0) && c.Offset+25*pageSize < l.of(0)
	}) > 0
}
