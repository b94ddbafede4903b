package main

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func TestLeaseOf_WhateverSplitsTheWork_GivesANameOfItsOwn(t *testing.T) {
	lease := func(selector string, namespaces ...string) string {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		return leaseOf(parsed, namespaces)
	}
	if got := lease(""); got != leaseName {
		t.Errorf("nothing is split: %s", got)
	}
	if lease("", "a", "b") != lease("", "b", "a", "b") {
		t.Error("the order of namespaces matters")
	}
	names := map[string]string{}
	for what, name := range map[string]string{
		"all": lease(""), "a": lease("", "a"), "b": lease("", "b"), "a,b": lease("", "a", "b"), "ab": lease("", "ab"),
		"x=1": lease("x=1"), "x!=1": lease("x!=1"), "x=1 in a": lease("x=1", "a"), "x!=1 in a": lease("x!=1", "a"),
	} {
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s share the lease %s", what, other, name)
		}
		names[name] = what
	}
	// The name of a selector alone has been this since v0.1: an upgrade hands the lease over.
	if got := lease("shard=one"); got != "subaccount-operator.plivo.subaccount-operator.dev-18fa90fa" {
		t.Errorf("got %s", got)
	}
}
