// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestSetUp_BadFlags_ReturnsError(t *testing.T) {
	for want, change := range map[string]func(*options){
		"unexpected argument \"false\"": func(o *options) { o.arguments = []string{"false", "--namespaces=team-a"} },
		"--namespaces has no name":      func(o *options) { o.namespaces = " , " },
	} {
		o := options{baseURL: plivo.DefaultBaseURL, timeout: time.Second, settleMargin: time.Second, maxConcurrent: 1}
		change(&o)
		if _, err := setUp(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestLeaseOf_SelectorOrNamespacesDiffer_ReturnsAnotherName(t *testing.T) {
	lease := func(selector string, namespaces ...string) string {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		return leaseOf(parsed, namespaces)
	}
	if got := lease(""); got != leaseName {
		t.Errorf("without flags: got %s, want %s", got, leaseName)
	}
	if lease("", "a", "b") != lease("", "b", "a", "b") {
		t.Error("got different names for another order of namespaces, want the same")
	}
	names := map[string]string{}
	for what, name := range map[string]string{
		"all": lease(""), "a": lease("", "a"), "b": lease("", "b"), "a,b": lease("", "a", "b"), "ab": lease("", "ab"),
		"x=1": lease("x=1"), "x!=1": lease("x!=1"), "x=1 in a": lease("x=1", "a"), "x!=1 in a": lease("x!=1", "a"),
	} {
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s: got the same lease %s, want different ones", what, other, name)
		}
		names[name] = what
	}
	// The name must not change between releases: an upgrade hands the lease over.
	if got := lease("shard=one"); got != "subaccount-operator.plivo.subaccount-operator.dev-18fa90fa" {
		t.Errorf("got %s, want the name that earlier releases use", got)
	}
}
