// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func subaccount(namespace, name string, main int) *v1alpha1.Subaccount {
	return &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SubaccountSpec{
			Name: ptr.To(namespace + " " + name), Enabled: ptr.To(true), AccountRef: v1alpha1.AccountReference{Name: account(main)},
		},
	}
}

// fill creates N Subaccounts as fast as the API server accepts them. It returns the
// time from the first request until the last Subaccount is Ready.
func (w *world) fill(ctx context.Context) (time.Duration, error) {
	events, err := w.watch(ctx)
	if err != nil {
		return 0, err
	}
	defer events.Stop()
	const creators = 16
	failed := make(chan error, w.load.n)
	began := time.Now()
	for c := range creators {
		go func() {
			for i := c; i < w.load.n; i += creators {
				if err := w.k8s.Create(ctx, subaccount(namespace(i), fmt.Sprintf("s-%d", i), i%w.load.accounts)); err != nil {
					failed <- err
				}
			}
		}()
	}
	ready := map[string]bool{}
	limit := time.After(2*time.Minute + 3*w.load.floor())
	for len(ready) < w.load.n {
		select {
		case event, ok := <-events.ResultChan():
			s, is := event.Object.(*v1alpha1.Subaccount)
			if !ok || !is {
				return 0, fmt.Errorf("the watch ended, %d are Ready: %v", len(ready), event.Object)
			}
			if meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady) {
				ready[s.Namespace+"/"+s.Name] = true
			}
		case err := <-failed:
			return 0, err
		case <-limit:
			return 0, fmt.Errorf("only %d Ready after %s", len(ready), time.Since(began))
		}
	}
	return time.Since(began), nil
}

// watch watches all Subaccounts. The API server ends the watch of a slow reader, as
// this program is on a machine with two cores: watch then resumes.
func (w *world) watch(ctx context.Context) (watch.Interface, error) {
	var now v1alpha1.SubaccountList
	if err := w.k8s.List(ctx, &now); err != nil {
		return nil, err
	}
	return watchtools.NewRetryWatcherWithContext(ctx, now.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return w.k8s.Watch(ctx, &v1alpha1.SubaccountList{}, &client.ListOptions{Raw: &o})
		},
	})
}

// restart restarts the manager and waits until it has reconciled everything.
func (w *world) restart(ctx context.Context) error {
	if err := w.manager.Stop(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the manager's end: %w", err)
	}
	// After Plivo's window, all calls come from the new process.
	time.Sleep(5 * time.Second)
	if err := errors.Join(w.plivo.forget(ctx), w.startManager(ctx)); err != nil {
		return err
	}
	if err := w.until(ctx, "a reconcile of every Subaccount", 2*time.Minute, func() (bool, error) {
		seen, err := w.activity(ctx)
		return seen.subaccounts >= float64(w.load.n), err
	}); err != nil {
		return err
	}
	return w.untilSwept(ctx, 1)
}

// measureRestart measures the calls, writes and time of a restart.
func (w *world) measureRestart(ctx context.Context, r result) error {
	_, peak, err1 := w.manager.memory()
	versionsBefore, err2 := w.versions(ctx)
	if err := errors.Join(err1, err2, w.restart(ctx)); err != nil {
		return err
	}
	seen, err1 := w.activity(ctx)
	versionsAfter, err2 := w.versions(ctx)
	calls, err3 := w.plivo.calls(ctx)
	now, peakNow, err4 := w.manager.memory()
	r["restartLists"] = float64(calls.ops(plivosim.OpList))
	r["restartCalls"] = float64(len(calls) - calls.ops(plivosim.OpList))
	r["restartWrites"] = max(seen.sent, float64(changed(versionsBefore, versionsAfter)))
	r["memoryRestart"], r["peak"] = now, max(peak, peakNow)
	say("  restart: %g lists, %g other calls, %g writes; %.0f MiB, at the peak %.0f before and %.0f after",
		r["restartLists"], r["restartCalls"], r["restartWrites"], now, peak, peakNow)
	return errors.Join(err1, err2, err3, err4)
}

// Large foreign objects: Secrets of 1 MiB with the operator's label, Secrets of
// 0.9 MiB in the operator's namespace, and annotations of 200 KiB on Subaccounts.
const (
	bulk        = 64
	foreign     = 150
	annotated   = 300
	annotation  = 200 << 10
	foreignSize = 900 << 10
)

// measureBulk measures the memory with large foreign objects: when they are created,
// and after a restart, which reads all of them at once.
func (w *world) measureBulk(ctx context.Context, r result) error {
	for i := range foreign {
		if err := w.k8s.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: fmt.Sprintf("foreign-%d", i)},
			Data:       map[string][]byte{"release": make([]byte, foreignSize)},
		}); err != nil {
			return err
		}
	}
	var all v1alpha1.SubaccountList
	if err := w.k8s.List(ctx, &all, client.Limit(annotated)); err != nil {
		return err
	}
	for i := range all.Items {
		s := &all.Items[i]
		before := s.DeepCopy()
		s.Annotations = map[string]string{"example.com/large": strings.Repeat("x", annotation)}
		if err := w.k8s.Patch(ctx, s, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	for i := range bulk {
		if err := w.k8s.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace(i), Name: fmt.Sprintf("bulk-%d", i),
				Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			},
			Data: map[string][]byte{"bulk": make([]byte, corev1.MaxSecretSize-1024)},
		}); err != nil {
			return err
		}
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	now, peak, err := w.manager.memory()
	r["bulk"], r["bulkPeak"], r["bulkMore"] = now, peak, now-r["memoryRestart"]
	say("  large objects of others, and a restart: %.0f MiB, at the peak %.0f", now, peak)
	return err
}

// newcomersEach is the number of new Subaccounts for each budget.
const newcomersEach = 50

// measureNewcomers measures how long a new Subaccount takes during a long sweep: with
// the full budget, where Plivo's latency bounds the sweep, and with the default
// budget, which the sweep alone could use up.
func (w *world) measureNewcomers(ctx context.Context, r result) error {
	for _, at := range []struct {
		budget int32
		key    string
	}{{budget, "newcomer"}, {150, "newcomer150"}} {
		err := w.setAccounts(ctx, func(s *v1alpha1.AccountSpec) {
			s.RequestsPer5Seconds, s.SweepInterval.Duration = at.budget, 10*time.Second
		})
		if err := errors.Join(err, w.untilAccountsReady(ctx)); err != nil {
			return err
		}
		var took []time.Duration
		for i := range newcomersEach {
			t, err := w.newcomer(ctx, fmt.Sprintf("s-%d-%d", at.budget, i))
			if err != nil {
				return err
			}
			took = append(took, t)
		}
		slices.Sort(took)
		r[at.key+"Median"], r[at.key+"Worst"] = took[len(took)/2].Seconds(), took[len(took)-1].Seconds()
		say("  a new one while a sweep runs, at budget %d: median %.2f s, worst %.2f s", at.budget, r[at.key+"Median"], r[at.key+"Worst"])
	}
	return nil
}

// newcomer creates a Subaccount during a sweep and returns the time until its Secret
// exists.
func (w *world) newcomer(ctx context.Context, name string) (time.Duration, error) {
	err := w.plivo.forget(ctx)
	if err := errors.Join(err, w.until(ctx, "a sweep to run", time.Minute, func() (bool, error) {
		calls, err := w.plivo.calls(ctx)
		return calls.amidSweep(w.load), err
	})); err != nil {
		return 0, err
	}
	time.Sleep(rand.N(200 * time.Millisecond))
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	events, err := w.k8s.Watch(ctx, &corev1.SecretList{}, client.InNamespace(newcomers))
	if err != nil {
		return 0, err
	}
	defer events.Stop()
	began := time.Now()
	if err := w.k8s.Create(ctx, subaccount(newcomers, name, 0)); err != nil {
		return 0, err
	}
	for event := range events.ResultChan() {
		if secret, ok := event.Object.(*corev1.Secret); ok && secret.Name == name+"-plivo" {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("%s has no Secret after %s", name, time.Since(began))
}
