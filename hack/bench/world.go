// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	operatorNamespace = "subaccount-operator-system"
	// budget is the request budget: Plivo's own limit, so that Plivo sets the floor.
	budget = 300
	// namespaces is the number of namespaces of the Subaccounts.
	namespaces = 10
	// newcomers is the namespace of the Subaccounts that are created during a sweep.
	newcomers = "newcomers"
)

// load is the size of one run.
type load struct {
	n, accounts int
	latency     time.Duration
}

// of returns the number of Subaccounts of one main account.
func (l load) of(account int) int {
	n := l.n / l.accounts
	if account < l.n%l.accounts {
		n++
	}
	return n
}

const pageSize = 20

// pages returns the number of list calls of one sweep of a main account.
func (l load) pages(account int) int { return max(1, (l.of(account)+pageSize-1)/pageSize) }

// lists returns the number of list calls of one sweep of every main account.
func (l load) lists() int {
	sum := 0
	for i := range l.accounts {
		sum += l.pages(i)
	}
	return sum
}

// floor returns the minimum time for two calls per Subaccount at Plivo's limit of
// 300 requests in 5 s.
func (l load) floor() time.Duration { return time.Duration(2*l.of(0)) * time.Second / 60 }

// restInterval is a sweep interval that leaves a pause between two sweeps.
func (l load) restInterval() time.Duration {
	return 10*time.Second + time.Duration(2*l.pages(0))*max(l.latency, 20*time.Millisecond)
}

type programs struct{ manager, plivo string }

// build builds the programs like `make build`, without the version.
func build(dir string) (programs, error) {
	p := programs{manager: filepath.Join(dir, "manager"), plivo: filepath.Join(dir, "plivo-sim")}
	return p, errors.Join(
		process.Build("manager", p.manager, "-ldflags=-s -w"),
		process.Build("plivo-sim", p.plivo, "-ldflags=-s -w"))
}

// world has the processes of one run.
type world struct {
	load     load
	programs programs
	dir      string
	plane    *controlplane.Plane
	k8s      client.WithWatch
	plivo    *plivo
	manager  *manager
}

func newWorld(ctx context.Context, l load, p programs, dir string) (*world, error) {
	w := &world{load: l, programs: p, dir: dir}
	for _, start := range []func(context.Context) error{w.startPlane, w.startPlivo, w.furnish, w.startManager} {
		if err := start(ctx); err != nil {
			return nil, errors.Join(err, w.end())
		}
	}
	return w, nil
}

func (w *world) startPlane(context.Context) (err error) {
	if w.plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	config := rest.CopyConfig(w.plane.Config)
	config.QPS = -1 // no client-side limit
	w.k8s, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	return err
}

func (w *world) startPlivo(context.Context) (err error) {
	w.plivo, err = startPlivo(w.programs.plivo, w.load)
	return err
}

func (w *world) end() error {
	var errs []error
	if w.manager != nil {
		errs = append(errs, w.manager.Stop(syscall.SIGTERM))
	}
	if w.plivo != nil {
		errs = append(errs, w.plivo.Stop(syscall.SIGTERM))
	}
	if w.plane != nil {
		errs = append(errs, w.plane.Stop())
	}
	return errors.Join(errs...)
}

// furnish creates the namespaces and the Accounts.
func (w *world) furnish(ctx context.Context) error {
	names := []string{operatorNamespace, newcomers}
	for i := range namespaces {
		names = append(names, namespace(i))
	}
	for _, name := range names {
		if err := w.k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	for i := range w.load.accounts {
		err := errors.Join(
			w.k8s.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: account(i)},
				StringData: map[string]string{"auth_id": mainID(i), "auth_token": w.plivo.token},
			}),
			w.k8s.Create(ctx, &v1alpha1.Account{
				ObjectMeta: metav1.ObjectMeta{Name: account(i)},
				Spec: v1alpha1.AccountSpec{
					CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: account(i)},
					NamespaceSelector:    &metav1.LabelSelector{},
					RequestsPer5Seconds:  budget,
				},
			}))
		if err != nil {
			return err
		}
	}
	return nil
}

func namespace(i int) string { return fmt.Sprintf("team-%d", i%namespaces) }
func account(i int) string   { return fmt.Sprintf("main-%d", i) }

// setAccounts changes the spec of every Account.
func (w *world) setAccounts(ctx context.Context, change func(*v1alpha1.AccountSpec)) error {
	for i := range w.load.accounts {
		a := &v1alpha1.Account{}
		if err := w.k8s.Get(ctx, client.ObjectKey{Name: account(i)}, a); err != nil {
			return err
		}
		before := a.DeepCopy()
		change(&a.Spec)
		if err := w.k8s.Patch(ctx, a, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return nil
}

// until polls until the check succeeds, the time is over or a program ends.
func (w *world) until(ctx context.Context, what string, limit time.Duration, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := yes()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("in vain for %s: %s", limit, what), err)
		case <-w.manager.Exited():
			log, _ := os.ReadFile(filepath.Join(w.dir, managerLog))
			return fmt.Errorf("the manager ended: %w\n%s", w.manager.Wait(), log[max(0, len(log)-4000):])
		case <-time.After(50 * time.Millisecond):
		}
	}
}
