// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// withWorld runs a test in a world without faults and without a Subaccount.
func withWorld(t *testing.T, do func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(newMemory(), nil)
		w.recording = false
		do(t, w)
		w.end()
	})
}

func (w *world) applyMany(n int, spec func(i int) v1alpha1.SubaccountSpec) {
	for i := range n {
		w.create(groupPath+"/namespaces/"+tenant+"/subaccounts", &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("s", i)}, Spec: spec(i)})
	}
}

func named(i int) v1alpha1.SubaccountSpec {
	return v1alpha1.SubaccountSpec{Name: new(fmt.Sprint("Name ", i)), Enabled: new(true)}
}

func (w *world) steps(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[what]
}

// No event says that the CRD is terminating, and an Account without credentials has no
// sweeps.
func TestWaiting_CRDDeletedAfterSubaccount_ReleasesIt(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.apply()
		w.process = startProcess(w)
		time.Sleep(2 * time.Minute)
		w.request(http.MethodDelete, "/api/v1/namespaces/"+operatorNamespace+"/secrets/credentials", "", nil)
		time.Sleep(time.Minute)
		w.request(http.MethodDelete, subaccountPath, "", nil)
		time.Sleep(time.Minute)
		crd := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/subaccounts." + v1alpha1.Group
		w.patch(crd, `{"metadata":{"finalizers":["customresourcecleanup.apiextensions.k8s.io"]}}`)
		if code, body := w.request(http.MethodDelete, crd, "", nil); code != http.StatusOK {
			t.Fatal(code, string(body))
		}
		time.Sleep(10 * time.Minute)
		if code, body := w.request(http.MethodGet, subaccountPath, "", nil); code != http.StatusNotFound {
			t.Errorf("got the Subaccount ten minutes after the deletion of the CRD, want none: %s", body)
		}
	})
}

// The cost of a deletion must not grow with the number of resources that wait for it.
func TestWaiting_DeletionWithAccount_CostsAsMuchAsWithout(t *testing.T) {
	const n = 60
	reads := map[bool]int{}
	for _, withAccount := range []bool{false, true} {
		withWorld(t, func(_ *testing.T, w *world) {
			w.patch(groupPath+"/accounts/default", `{"spec":{"requestsPer5Seconds":10}}`)
			w.applyMany(n, named)
			w.process = startProcess(w)
			for len(w.sim.Subaccounts(mainID)) < n+len(w.strangers) {
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Minute)
			before := w.steps("get-" + crds)
			if withAccount {
				w.request(http.MethodDelete, groupPath+"/accounts/default", "", nil)
			}
			for i := range n {
				w.request(http.MethodDelete, fmt.Sprint(groupPath, "/namespaces/", tenant, "/subaccounts/s", i), "", nil)
			}
			for len(w.sim.Subaccounts(mainID)) > len(w.strangers) {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Minute)
			reads[withAccount] = w.steps("get-"+crds) - before
		})
	}
	if without, with := reads[false], reads[true]; with > without+n/10 || without > 4*n {
		t.Errorf("got %d and %d reads of the CRD for %d Subaccounts, without and with their Account; want about as many, at most 4 each", without, with, n)
	}
}

// Subaccounts that wait for a person cost nothing while nobody acts.
func TestWaiting_NothingChanges_CostsNothing(t *testing.T) {
	const n = 20
	adopting := func(i int) v1alpha1.SubaccountSpec {
		return v1alpha1.SubaccountSpec{AuthID: new(fmt.Sprintf("SAAAAAAAAAAAAAAAAA%02d", i)), DeletionPolicy: v1alpha1.DeletionPolicyOrphan}
	}
	for name, c := range map[string]struct {
		path, change string
		spec         func(int) v1alpha1.SubaccountSpec
	}{
		"credentials refused": {"/api/v1/namespaces/" + operatorNamespace + "/secrets/credentials", `{"data":{"auth_token":"d3Jvbmctd3Jvbmctd3Jvbmc="}}`, named},
		"nothing to adopt":    {groupPath + "/accounts/default", `{"spec":{"adoption":[{"namespace":"` + tenant + `","authIDs":["*"]}]}}`, adopting},
		"no grant":            {groupPath + "/accounts/default", `{"spec":{"adoption":[]}}`, adopting},
	} {
		withWorld(t, func(t *testing.T, w *world) {
			w.patch(c.path, c.change)
			w.process = startProcess(w)
			time.Sleep(time.Minute)
			w.applyMany(n, c.spec)
			time.Sleep(20 * time.Minute)
			kinds := []string{"get-" + secrets, "get-" + subaccounts, "get", "patch-" + subaccounts + "/status"}
			before := map[string]int{}
			for _, kind := range kinds {
				before[kind] = w.steps(kind)
			}
			time.Sleep(time.Hour)
			for _, kind := range kinds {
				if more := w.steps(kind) - before[kind]; more > 0 {
					t.Errorf("%s: got %d × %s for %d Subaccounts in an hour without changes, want none", name, more, kind, n)
				}
			}
		})
	}
}
