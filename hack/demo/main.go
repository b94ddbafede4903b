// SPDX-License-Identifier: Apache-2.0

// Command demo starts a control plane, a simulated Plivo and the manager's binary on
// this machine, and shows the features step by step. In a terminal, the processes
// then keep running. With ONCE=1 or without a terminal, the command ends; it fails if
// a step fails.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "\nthe demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "subaccount-operator-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	say("Starting a control plane (etcd, kube-apiserver) ...")
	plane, err := controlplane.Start(controlplane.Options{CRDs: []string{}})
	if err != nil {
		return err
	}
	defer func() { _ = plane.Stop() }()

	d := &demo{root: root, dir: dir, plane: plane}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		return err
	}
	started := time.Now()
	for i, s := range d.tour() {
		say("\n%d. %s", i+1, s.title)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("step %d, %q: %w\nthe manager's log ends with:\n%s", i+1, s.title, err, d.logTail())
		}
	}
	say("\nThe demo took %d s. All steps succeeded.", int(time.Since(started).Seconds()))
	if os.Getenv("ONCE") != "" || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	say("\nAll processes run until Ctrl-C. To use them, run in another terminal:\n\n"+
		"  export KUBECONFIG=%s PATH=%s:$PATH\n  kubectl get plivo -A\n\n"+
		"The simulated Plivo is at %s (its control endpoint: %s/_sim/subaccounts).\nThe manager's log: %s",
		plane.Kubeconfig, filepath.Dir(plane.Kubectl), d.sim, d.sim, d.managerLog())
	<-ctx.Done()
	return nil
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
