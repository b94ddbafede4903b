// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// result maps the keys of figures to the values of one run.
type result map[string]float64

// sampledFrom is the number of Subaccounts of one main account from which a sweep is
// long enough to measure new Subaccounts during it.
const sampledFrom = 10000

// bulkAt is the size at which the benchmark adds large foreign objects.
const bulkAt = 1000

// measure performs one run in a new world.
func measure(ctx context.Context, l load, p programs, dir string) (r result, err error) {
	w, err := newWorld(ctx, l, p, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	r = result{}
	phases := []func(context.Context, result) error{w.measureFilling, w.measureQuiet, w.measureRestart}
	if l.n == bulkAt {
		phases = append(phases, w.measureBulk)
	}
	if l.of(0) >= sampledFrom {
		phases = append(phases, w.measureNewcomers)
	}
	for _, phase := range phases {
		if err := phase(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// measureFilling creates N Subaccounts at once and waits until all are Ready.
func (w *world) measureFilling(ctx context.Context, r result) error {
	if err := w.untilAccountsReady(ctx); err != nil {
		return err
	}
	// A new process starts with a paced budget: wait until the whole budget is
	// available.
	time.Sleep(5 * time.Second)
	if err := w.plivo.forget(ctx); err != nil {
		return err
	}
	before, err := w.activity(ctx)
	if err != nil {
		return err
	}
	cpuBefore, err := w.manager.cpu()
	if err != nil {
		return err
	}
	took, err := w.fill(ctx)
	if err != nil {
		return err
	}
	cpu, err1 := w.manager.cpu()
	after, err2 := w.activity(ctx)
	calls, err3 := w.plivo.calls(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	n := float64(w.load.n)
	r["seconds"], r["ratio"] = took.Seconds(), took.Seconds()/w.load.floor().Seconds()
	r["calls"] = float64(len(calls)-calls.ops(plivosim.OpList)) / n
	r["creates"], r["updates"] = float64(calls.ops(plivosim.OpCreate))/n, float64(calls.ops(plivosim.OpUpdate))/n
	r["429"] = float64(calls.refused())
	r["cpu"] = float64((cpu - cpuBefore).Microseconds()) / 1000 / n
	r["writesEach"] = after.writes(before) / n
	say("  Ready after %.1f s, %.2f x the floor; %.1f ms CPU each", r["seconds"], r["ratio"], r["cpu"])
	return nil
}

func (w *world) untilAccountsReady(ctx context.Context) error {
	return w.until(ctx, "the Accounts to be Ready", time.Minute, func() (bool, error) {
		var all v1alpha1.AccountList
		err := w.k8s.List(ctx, &all)
		for i := range all.Items {
			c := meta.FindStatusCondition(all.Items[i].Status.Conditions, v1alpha1.ConditionReady)
			if c == nil || c.Status != "True" || c.ObservedGeneration != all.Items[i].Generation {
				return false, err
			}
		}
		return true, err
	})
}

// untilStill waits until the manager sends no call to Plivo.
func (w *world) untilStill(ctx context.Context) error {
	return w.until(ctx, "the remote calls to end", 2*time.Minute, func() (bool, error) {
		before, err1 := w.plivo.calls(ctx)
		time.Sleep(time.Second)
		after, err2 := w.plivo.calls(ctx)
		return len(before) == len(after), errors.Join(err1, err2)
	})
}

// untilSwept waits for a number of whole sweeps of every main account, and for the
// reconciles that they cause.
func (w *world) untilSwept(ctx context.Context, times int) error {
	limit := time.Minute + time.Duration(times+1)*w.load.restInterval()
	return w.until(ctx, fmt.Sprintf("%d whole sweeps", times), limit, func() (bool, error) {
		calls, err := w.plivo.calls(ctx)
		if err != nil || !calls.swept(w.load, times) {
			return false, err
		}
		seen, err := w.activity(ctx)
		if err != nil {
			return false, err
		}
		time.Sleep(2 * time.Second)
		later, err1 := w.activity(ctx)
		callsLater, err2 := w.plivo.calls(ctx)
		return seen == later && len(calls) == len(callsLater), errors.Join(err1, err2)
	})
}

// quietSweeps is the number of sweeps of the quiet phase.
const quietSweeps = 2

// measureQuiet counts what sweeps cost when nothing has changed.
func (w *world) measureQuiet(ctx context.Context, r result) error {
	// After a long filling a sweep is running. Its rest would be counted as an
	// incomplete sweep.
	if err := errors.Join(w.untilStill(ctx), w.plivo.forget(ctx)); err != nil {
		return err
	}
	err := w.setAccounts(ctx, func(s *v1alpha1.AccountSpec) { s.SweepInterval.Duration = w.load.restInterval() })
	if err != nil {
		return err
	}
	// This sweep changes the status: the number of subaccounts.
	if err := w.untilSwept(ctx, 1); err != nil {
		return err
	}
	before, err1 := w.activity(ctx)
	versionsBefore, err2 := w.versions(ctx)
	if err := errors.Join(err1, err2, w.plivo.forget(ctx), w.untilSwept(ctx, quietSweeps)); err != nil {
		return err
	}
	after, err1 := w.activity(ctx)
	versionsAfter, err2 := w.versions(ctx)
	calls, err3 := w.plivo.calls(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	r["quietLists"] = calls.perSweep(w.load)
	r["quietCalls"] = float64(len(calls) - calls.ops(plivosim.OpList))
	r["quietWrites"] = max(after.writes(before), float64(changed(versionsBefore, versionsAfter)))
	r["quietReconciles"] = after.reconciles() - before.reconciles()
	r["memory"], _, err = w.manager.memory()
	say("  quiet: %g lists for each sweep, %g other calls, %g writes, %g reconciles; %.0f MiB",
		r["quietLists"], r["quietCalls"], r["quietWrites"], r["quietReconciles"], r["memory"])
	return err
}

// versions returns the resourceVersions of all objects of the operator.
func (w *world) versions(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, kind := range []schema.GroupVersionKind{
		v1alpha1.GroupVersion.WithKind("SubaccountList"), v1alpha1.GroupVersion.WithKind("AccountList"),
		corev1.SchemeGroupVersion.WithKind("SecretList"),
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := w.k8s.List(ctx, list); err != nil {
			return nil, err
		}
		for i := range list.Items {
			o := &list.Items[i]
			all[kind.Kind+"/"+o.Namespace+"/"+o.Name] = o.ResourceVersion
		}
	}
	return all, nil
}

// changed counts the objects that are new, deleted or changed.
func changed(before, after map[string]string) int {
	n := 0
	for key, version := range after {
		if before[key] != version {
			n++
		}
	}
	for key := range before {
		if after[key] == "" {
			n++
		}
	}
	return n
}
