// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseFault_StringAndJSON_RoundTrip(t *testing.T) {
	everything := Fault{
		Ops: []Op{OpUpdate, OpDelete}, Account: mainID, AuthID: "SA", Skip: 1, Times: 2, Probability: 0.25,
		When: After, What: CutShort, Delay: 300 * time.Millisecond, Status: 502, Body: BodyHTML,
		RetryAfter: 3, Location: "http://elsewhere/",
	}
	for _, c := range []struct {
		fault Fault
		text  string
	}{
		{Fault{}, ""},
		{Fault{Ops: []Op{OpCreate}, When: After, What: Cut, Times: 1}, "ops=create,times=1,what=cut,when=after"},
		{Fault{Ops: []Op{OpList}, Rows: Stale, Without: "SA", Shift: -1, Total: 2}, "ops=list,rows=stale,shift=-1,total=2,without=SA"},
		{everything, "account=" + mainID + ",authID=SA,body=html,delay=300ms,location=http://elsewhere/,ops=update+delete," +
			"probability=0.25,retryAfter=3,skip=1,status=502,times=2,what=cut-short,when=after"},
	} {
		if got := c.fault.String(); got != c.text {
			t.Errorf("String: got %s, want %s", got, c.text)
		}
		asJSON, err := json.Marshal(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{c.text, string(asJSON)} {
			if text == "" {
				continue // the zero fault has no compact form
			}
			if got, err := ParseFault(text); err != nil || !reflect.DeepEqual(got, c.fault) {
				t.Errorf("%s: got %+v (%v), want %+v", text, got, err, c.fault)
			}
		}
	}
}

func TestParseFault_InvalidText_ReturnsError(t *testing.T) {
	for _, text := range []string{
		"", "cut", "op=create", "ops=creat", "ops=create+", "when=before", "what=answer", "body=htm", "rows=live",
		"status=99", "status=600", "status=x", "delay=3", "delay=-1s", "probability=2", "times=-1", "skip=-1",
		"text=x,body=html", "ops=create,rows=stale", "ops=list+get,shift=1",
		"ops=create,authID=SA", "ops=get+list,authID=SA", "authID=SA,rows=none",
		"{", `{"op":"create"}`, `{"ops":"create"}`, `{"delay":3}`, `{"delay":"3"}`, `{"status":1}`,
	} {
		if f, err := ParseFault(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, f)
		}
	}
}

func TestInject_InvalidFault_Panics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want one")
		}
	}()
	New(Options{}).Inject(Fault{Ops: []Op{"creat"}})
}

func TestFaultHelp_EveryFieldAndValue_IsExplained(t *testing.T) {
	words := append(strings.Split(joined(allOps()), ", "), strings.Split(joined(allBodies()[1:])+", "+joined(allWhens[1:])+", "+joined(allWhats[1:])+", "+joined(allRows[1:]), ", ")...)
	new(Fault).fields().VisitAll(func(field *flag.Flag) { words = append(words, field.Name) })
	for _, word := range words {
		if !slices.Contains(strings.FieldsFunc(FaultHelp(), func(r rune) bool { return strings.ContainsRune(" \n,;()", r) }), word) {
			t.Errorf("got no %q in the help, want every field and value", word)
		}
	}
}

func TestOpOf_Path_ReturnsOperation(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         Op
	}{
		{"POST", collection, OpCreate}, {"GET", collection, OpList}, {"GET", collection + "SA/", OpGet},
		{"POST", collection + "SA/", OpUpdate}, {"DELETE", collection + "SA/", OpDelete},
		{"DELETE", collection, OpOther}, {"POST", "/v1/Account/" + mainID + "/Number/", OpOther},
	} {
		if got := OpOf(c.method, c.path); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.method, c.path, got, c.want)
		}
	}
}
