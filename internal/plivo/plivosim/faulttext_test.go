package plivosim

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestFaultText(t *testing.T) {
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
			t.Errorf("String: %s, want %s", got, c.text)
		}
		asJSON, err := json.Marshal(c.fault)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{c.text, string(asJSON)} {
			if text == "" {
				continue // the zero fault is written as {}
			}
			if got, err := ParseFault(text); err != nil || !reflect.DeepEqual(got, c.fault) {
				t.Errorf("%s: got %+v (%v)", text, got, err)
			}
		}
	}
}

func TestParseFaultRefuses(t *testing.T) {
	for _, text := range []string{
		"", "cut", "op=create", "ops=creat", "ops=create+", "when=before", "what=answer", "body=htm", "rows=live",
		"status=99", "status=600", "status=x", "delay=3", "delay=-1s", "probability=2", "times=-1", "skip=-1",
		"text=x,body=html", "ops=create,rows=stale", "ops=list+get,shift=1",
		"ops=create,authID=SA", "ops=get+list,authID=SA", "authID=SA,rows=none",
		"{", `{"op":"create"}`, `{"ops":"create"}`, `{"delay":3}`, `{"delay":"3"}`, `{"status":1}`,
	} {
		if f, err := ParseFault(text); err == nil {
			t.Errorf("%q was read as %+v", text, f)
		}
	}
}

func TestInjectPanicsOnAFaultThatNeverStrikes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{}).Inject(Fault{Ops: []Op{"creat"}})
}
