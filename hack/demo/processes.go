// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// demo has the processes that the tour uses.
type demo struct {
	root, dir string
	plane     *controlplane.Plane
	sim       string // URL of the simulated Plivo
	children  []*process.Process
}

// start starts the simulator and the manager from bin/.
func (d *demo) start(ctx context.Context) error {
	say("Starting a simulated Plivo, with Plivo's own limit of 300 requests per 5 s, and the manager ...")
	// The credentials in config/samples/credentials.yaml.
	sim, err := process.StartPlivo(filepath.Join(d.root, "bin", "plivo-sim"), "--rate-limit", "300",
		"--latency", "20ms", "--account", mainAccount+":the-token-from-the-plivo-console")
	if err != nil {
		return err
	}
	d.sim, d.children = sim.URL, append(d.children, sim.Process)
	if err := d.quietly(ctx, "apply", "-f", filepath.Join(d.root, "config", "crd", "bases")); err != nil {
		return err
	}
	if err := d.quietly(ctx, "create", "namespace", "subaccount-operator-system"); err != nil {
		return err
	}
	log, err := os.Create(d.managerLog())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the manager has its own handle
	manager, err := process.Start(log, []string{"KUBECONFIG=" + d.plane.Kubeconfig, "POD_NAMESPACE=subaccount-operator-system"},
		filepath.Join(d.root, "bin", "manager"), "--plivo-base-url", d.sim,
		"--health-probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "0")
	if err == nil {
		d.children = append(d.children, manager)
	}
	return err
}

// stop ends the processes, the manager first.
func (d *demo) stop() {
	for i := len(d.children) - 1; i >= 0; i-- {
		_ = d.children[i].Stop(syscall.SIGTERM)
	}
}

func (d *demo) managerLog() string { return filepath.Join(d.dir, "manager.log") }

func (d *demo) logTail() string {
	data, _ := os.ReadFile(d.managerLog())
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// kubectl runs the control plane's kubectl and returns its output.
func (d *demo) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return d.plane.RunKubectl(ctx, stdin, args...)
}

func (d *demo) quietly(ctx context.Context, args ...string) error {
	_, err := d.kubectl(ctx, "", args...)
	return err
}

// show prints a command, runs it and prints its output.
func (d *demo) show(ctx context.Context, args ...string) error {
	shown := make([]string, len(args))
	for i, a := range args {
		if shown[i] = a; strings.ContainsAny(a, " {}'\"[]*") {
			shown[i] = "'" + a + "'"
		}
	}
	say("   $ kubectl %s", strings.Join(shown, " "))
	out, err := d.kubectl(ctx, "", args...)
	for line := range strings.Lines(out) {
		fmt.Print("   " + line)
	}
	return err
}

// atPlivo calls the simulator's control endpoint.
func (d *demo) atPlivo(ctx context.Context, method, path string, body, out any) error {
	return plivosim.Control(ctx, d.sim, method, path, body, out)
}

// until polls until check succeeds, for at most a minute.
func (d *demo) until(ctx context.Context, what string, check func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ok, err := check()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("timed out after a minute: %s", what), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
