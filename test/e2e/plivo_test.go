// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// plivo is the simulator's process and its only main account.
type plivo struct {
	*process.Plivo
	account, token string
}

func startPlivo(seed uint64) *plivo {
	p := &plivo{account: "MAE2E000000000000000", token: fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(seed))))[:40]}
	var err error
	p.Plivo, err = process.StartPlivo(plivoBinary, "--account", p.account+":"+p.token,
		"--rate-limit", "300", "--latency", "20ms", "--seed", fmt.Sprint(seed))
	Expect(err).NotTo(HaveOccurred())
	return p
}

// pause cuts Plivo off: it does not respond. After resume it carries out the requests
// that arrived in the meantime, although their clients have given up.
func (p *plivo) pause()  { p.Signal(syscall.SIGSTOP) }
func (p *plivo) resume() { p.Signal(syscall.SIGCONT) }

// reflectedCredentials is a response that repeats the credentials of the request.
func (p *plivo) reflectedCredentials() string {
	basic := base64.StdEncoding.EncodeToString([]byte(p.account + ":" + p.token))
	return fmt.Sprintf(`{"error":{"credentials":%q},"message":"Authorization: Basic %s"}`, p.token, basic)
}

// control sends a request to the simulator's control endpoint.
func (p *plivo) control(method, path string, in, out any) error {
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return plivosim.Control(soon, p.URL, method, path, in, out)
}

func (p *plivo) inject(f plivosim.Fault) (id int, err error) {
	var made struct{ ID int }
	err = p.control(http.MethodPost, "faults", f, &made)
	return made.ID, err
}

// failCreates injects a fault for the given number of create calls.
func (p *plivo) failCreates(times int, f plivosim.Fault) {
	f.Ops, f.Times = []plivosim.Op{plivosim.OpCreate}, times
	_, err := p.inject(f)
	Expect(err).NotTo(HaveOccurred())
}

func (p *plivo) endFault(id int) error {
	return p.control(http.MethodDelete, fmt.Sprint("faults/", id), nil, nil)
}

func (p *plivo) endFaults() error { return p.control(http.MethodDelete, "faults", nil, nil) }

func (p *plivo) list() ([]plivosim.Subaccount, error) {
	var all []plivosim.Subaccount
	err := p.control(http.MethodGet, "subaccounts", nil, &all)
	return all, err
}

// subaccounts returns the subaccounts at Plivo by authID.
func (p *plivo) subaccounts() map[string]plivosim.Subaccount {
	all, err := p.list()
	Expect(err).NotTo(HaveOccurred())
	byID := map[string]plivosim.Subaccount{}
	for _, s := range all {
		byID[s.AuthID] = s
	}
	return byID
}

// add creates a subaccount as a user of Plivo's console would.
func (p *plivo) add(name string, enabled bool) plivosim.Subaccount {
	var made plivosim.Subaccount
	Expect(p.control(http.MethodPost, "subaccounts", map[string]any{"name": name, "enabled": enabled}, &made)).To(Succeed())
	return made
}

func (p *plivo) calls() []plivosim.Call {
	var all []plivosim.Call
	Expect(p.control(http.MethodGet, "calls", nil, &all)).To(Succeed())
	return all
}

// sent counts the requests of one operation, including those that failed.
func (p *plivo) sent(op plivosim.Op) int {
	n := 0
	for _, c := range p.calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// committedIDs returns the authIDs of the calls of one operation that Plivo carried out.
func (p *plivo) committedIDs(op plivosim.Op) []string {
	var ids []string
	for _, c := range p.calls() {
		if c.Op == op && c.Committed {
			ids = append(ids, c.AuthID)
		}
	}
	return ids
}

// duplicates returns the marker of every create call that Plivo carried out, except the
// first for each marker.
func (p *plivo) duplicates() []string {
	isCreated := map[string]bool{}
	var again []string
	for _, c := range p.calls() {
		if c.Op != plivosim.OpCreate || !c.Committed {
			continue
		}
		if isCreated[c.Name] {
			again = append(again, c.Name)
		}
		isCreated[c.Name] = true
	}
	return again
}

// sweeps counts how often a manager read the list from its beginning.
func (p *plivo) sweeps() int {
	n := 0
	for _, c := range p.calls() {
		if c.Op == plivosim.OpList && c.Offset == 0 && c.Limit > 1 {
			n++
		}
	}
	return n
}

// namedSubaccounts returns the authIDs that were ever given a Subaccount's name, by the
// identity with which the name begins (planLifecycle).
func (p *plivo) namedSubaccounts() map[string]map[string]bool {
	given := map[string]map[string]bool{}
	for _, c := range p.calls() {
		if c.Op != plivosim.OpUpdate || !c.Committed {
			continue
		}
		identity, _, _ := strings.Cut(c.Name, " ")
		if given[identity] == nil {
			given[identity] = map[string]bool{}
		}
		given[identity][c.AuthID] = true
	}
	return given
}
