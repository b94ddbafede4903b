// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// Values of config/samples.
const (
	mainAccount  = "MAXXXXXXXXXXXXXXXXXX"
	sampleAuthID = "SAXXXXXXXXXXXXXXXXXX"
)

type step struct {
	title string
	do    func(context.Context) error
}

func (d *demo) tour() []step {
	return []step{
		{"Apply the samples: an Account, its credentials, two new Subaccounts, and one that adopts an existing subaccount.", d.apply},
		{"Each Subaccount has a Secret with its credentials.", d.secrets},
		{"Rename a subaccount in its spec.", d.rename},
		{"Change a subaccount at Plivo: the next sweep finds the drift, and the operator fixes it.", d.drift},
		{"Delete a Secret: the operator recreates it.", d.deleteSecret},
		{"Delete a Subaccount with cascadePolicy Delete: its numbers are deleted too.", d.delete},
		{"Count the requests to Plivo.", d.cost},
	}
}

// apply applies config/samples with the authID of an existing subaccount.
func (d *demo) apply(ctx context.Context) error {
	var existing plivosim.Subaccount
	if err := d.atPlivo(ctx, http.MethodPost, "subaccounts", map[string]any{"name": "Made in the console", "enabled": true}, &existing); err != nil {
		return err
	}
	samples, err := d.kubectl(ctx, "", "kustomize", filepath.Join(d.root, "config", "samples"))
	if err != nil {
		return err
	}
	say("   $ kubectl apply -k config/samples")
	out, err := d.kubectl(ctx, strings.ReplaceAll(samples, sampleAuthID, existing.AuthID), "apply", "-f", "-")
	if err != nil {
		return err
	}
	fmt.Print("   " + strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n   ") + "\n")
	// The default of 5m saves requests; the tour shows drift sooner.
	if err := d.show(ctx, "patch", "plivoacct", "default", "--type=merge", "-p", `{"spec":{"sweepInterval":"10s"}}`); err != nil {
		return err
	}
	if err := d.show(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "plivosub", "--all"); err != nil {
		return err
	}
	return d.show(ctx, "get", "plivosub", "-o", "wide")
}

func (d *demo) secrets(ctx context.Context) error {
	if err := d.show(ctx, "get", "secret", "team-a-plivo", "-o",
		`go-template={{range $k, $v := .data}}{{$k}}: {{len (base64decode $v)}} characters{{"\n"}}{{end}}`); err != nil {
		return err
	}
	id, err := d.kubectl(ctx, "", "get", "secret", "team-a-plivo", "-o", "go-template={{.data.auth_id | base64decode}}")
	if err != nil {
		return err
	}
	say("   (auth_id is %s; the token stays between the Secret and you)", id)
	return d.show(ctx, "get", "secret", "plivo", "-o", `go-template={{range $k, $v := .data}}{{$k}}: {{len (base64decode $v)}} characters{{"\n"}}{{end}}`)
}

func (d *demo) rename(ctx context.Context) error {
	if err := d.show(ctx, "patch", "plivosub", "team-a", "--type=merge", "-p", `{"spec":{"name":"Team A (renamed)"}}`); err != nil {
		return err
	}
	return d.untilNamed(ctx, "Team A (renamed)")
}

func (d *demo) drift(ctx context.Context) error {
	s, err := d.teamA(ctx)
	if err != nil {
		return err
	}
	if err := d.atPlivo(ctx, http.MethodPatch, "subaccounts/"+s.AuthID, map[string]any{"name": "Changed by hand", "enabled": false}, nil); err != nil {
		return err
	}
	say("   At Plivo, %s is now %q and disabled. Waiting for the next sweep (every 10 s) ...", s.AuthID, "Changed by hand")
	return d.untilNamed(ctx, "Team A (renamed)")
}

func (d *demo) deleteSecret(ctx context.Context) error {
	if err := d.show(ctx, "delete", "secret", "team-a-plivo"); err != nil {
		return err
	}
	if err := d.until(ctx, "the Secret to come back", func() (bool, error) {
		return d.quietly(ctx, "get", "secret", "team-a-plivo") == nil, nil
	}); err != nil {
		return err
	}
	return d.show(ctx, "get", "secret", "team-a-plivo")
}

func (d *demo) delete(ctx context.Context) error {
	s, err := d.teamA(ctx)
	if err != nil {
		return err
	}
	if err := d.show(ctx, "patch", "plivosub", "team-a", "--type=merge", "-p", `{"spec":{"cascadePolicy":"Delete"}}`); err != nil {
		return err
	}
	for _, kind := range []plivosim.NeighbourKind{plivosim.Number, plivosim.Application} {
		if err := d.atPlivo(ctx, http.MethodPost, "neighbours", plivosim.Neighbour{Kind: kind, Name: "of team A", Subaccount: s.AuthID}, nil); err != nil {
			return err
		}
	}
	before, err := d.neighbours(ctx, s.AuthID)
	if err != nil {
		return err
	}
	if err := d.show(ctx, "delete", "plivosub", "team-a", "--timeout=60s"); err != nil {
		return err
	}
	if _, err := d.teamA(ctx); err == nil {
		return fmt.Errorf("%s is still at Plivo", s.AuthID)
	}
	after, err := d.neighbours(ctx, s.AuthID)
	if err != nil {
		return err
	}
	if before != 2 || after != 0 {
		return fmt.Errorf("got %d other subaccounts before and %d after, want 2 and 0", before, after)
	}
	say("   At Plivo, %s is deleted, with its number and its application.", s.AuthID)
	if err := d.until(ctx, "its Secret to go", func() (bool, error) {
		return d.quietly(ctx, "get", "secret", "team-a-plivo") != nil, nil
	}); err != nil {
		return err
	}
	return d.show(ctx, "get", "plivosub,secret")
}

func (d *demo) cost(ctx context.Context) error {
	var calls []plivosim.Call
	if err := d.atPlivo(ctx, http.MethodGet, "calls", nil, &calls); err != nil {
		return err
	}
	counts := map[plivosim.Op]int{}
	for _, c := range calls {
		counts[c.Op]++
	}
	say("   %d creates and %d updates, %d gets (the adoption, and the Secret that was deleted), %d deletes; %d lists, one for every 20 subaccounts in each sweep.",
		counts[plivosim.OpCreate], counts[plivosim.OpUpdate], counts[plivosim.OpGet], counts[plivosim.OpDelete], counts[plivosim.OpList])
	if counts[plivosim.OpCreate] != 2 {
		return fmt.Errorf("%d create calls for two new Subaccounts", counts[plivosim.OpCreate])
	}
	return nil
}

// teamA returns the subaccount of the resource team-a.
func (d *demo) teamA(ctx context.Context) (plivosim.Subaccount, error) {
	var all []plivosim.Subaccount
	if err := d.atPlivo(ctx, http.MethodGet, "subaccounts", nil, &all); err != nil {
		return plivosim.Subaccount{}, err
	}
	id, err := d.kubectl(ctx, "", "get", "plivosub", "team-a", "-o", "jsonpath={.status.authID}")
	if err != nil {
		return plivosim.Subaccount{}, err
	}
	for _, s := range all {
		if s.AuthID == id {
			return s, nil
		}
	}
	return plivosim.Subaccount{}, fmt.Errorf("plivo has no subaccount %q", id)
}

func (d *demo) untilNamed(ctx context.Context, name string) error {
	var seen plivosim.Subaccount
	err := d.until(ctx, fmt.Sprintf("the subaccount to be %q and enabled", name), func() (ok bool, err error) {
		seen, err = d.teamA(ctx)
		return seen.Name == name && seen.Enabled, err
	})
	if err == nil {
		say("   At Plivo, %s is %q, enabled.", seen.AuthID, seen.Name)
	}
	return err
}

func (d *demo) neighbours(ctx context.Context, authID string) (int, error) {
	var all []plivosim.Neighbour
	err := d.atPlivo(ctx, http.MethodGet, "neighbours", nil, &all)
	n := 0
	for _, neighbour := range all {
		if neighbour.Subaccount == authID {
			n++
		}
	}
	return n, err
}
