// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// FaultHelp explains the compact form of a fault.
func FaultHelp() string {
	return fmt.Sprintf(faultHelp, joined(allOps()), joined(allBodies()[1:]))
}

const faultHelp = `A fault is a list of name=value pairs with commas between them, or a JSON object
with the same names ("ops" is then a list, and numbers are numbers):

  which requests
    ops          %[1]s; several with a plus
    account      main account
    authID       subaccount in the path
    skip         number of requests that pass first
    times        number of strikes; 0 means no limit
    probability  0 to 1; 0 means always
  when the server makes the change
    when         if omitted, never
                 after      before the response
                 late       after delay; the response says that it was not made
  what happens to the response
    what         if omitted, the server sends it
                 cut        the connection is cut without a response
                 cut-short  the connection is cut in the middle of the body
                 hang       no response; for delay, or until the client goes away
    delay        of the response, of the late change or of the hang, such as 300ms
    status       200 to 599; if omitted, the actual one, or 500 if nothing was done
    body         %[2]s
    text         a literal body
    retryAfter   header Retry-After, in seconds
    location     header of a redirect
  lists
    rows         stale (as at the injection of the fault) or none
    without      auth_id of a row to omit
    shift        number of rows by which pages after the first are moved
    total        number to add to total_count
`

func joined[T ~string](words []T) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// ParseFault reads a fault from JSON or from its compact form. A text that begins with a
// brace is JSON: it has the JSON names of Fault, and a delay such as "300ms". The
// compact form has the same names, and ops joined by a plus:
//
//	ops=create+update,when=after,what=cut,times=1
//
// A text with a comma in it needs JSON.
func ParseFault(text string) (Fault, error) {
	var f Fault
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return f, err
		}
		return f, f.Validate()
	}
	fields := f.fields()
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if fields.Lookup(key) == nil {
			return f, fmt.Errorf("a fault has no %q", key)
		}
		if err := fields.Set(key, value); err != nil {
			return f, fmt.Errorf("%s: %w", key, err)
		}
	}
	return f, f.Validate()
}

// String returns the compact form, without fields that are zero.
func (f Fault) String() string {
	var g Fault
	fields := g.fields()
	g = f
	var pairs []string
	fields.VisitAll(func(field *flag.Flag) {
		if value := field.Value.String(); value != field.DefValue {
			pairs = append(pairs, field.Name+"="+value)
		}
	})
	return strings.Join(pairs, ",")
}

// fields binds the names of the compact form to f, which must be zero.
func (f *Fault) fields() *flag.FlagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Var((*opsValue)(&f.Ops), "ops", "")
	fs.StringVar(&f.Account, "account", "", "")
	fs.StringVar(&f.AuthID, "authID", "", "")
	fs.IntVar(&f.Skip, "skip", 0, "")
	fs.IntVar(&f.Times, "times", 0, "")
	fs.Float64Var(&f.Probability, "probability", 0, "")
	fs.StringVar((*string)(&f.When), "when", "", "")
	fs.StringVar((*string)(&f.What), "what", "", "")
	fs.DurationVar(&f.Delay, "delay", 0, "")
	fs.IntVar(&f.Status, "status", 0, "")
	fs.StringVar((*string)(&f.Body), "body", "", "")
	fs.StringVar(&f.Text, "text", "", "")
	fs.IntVar(&f.RetryAfter, "retryAfter", 0, "")
	fs.StringVar(&f.Location, "location", "", "")
	fs.StringVar((*string)(&f.Rows), "rows", "", "")
	fs.StringVar(&f.Without, "without", "", "")
	fs.IntVar(&f.Shift, "shift", 0, "")
	fs.IntVar(&f.Total, "total", 0, "")
	return fs
}

type opsValue []Op

func (o *opsValue) String() string {
	var words []string
	for _, op := range *o {
		words = append(words, string(op))
	}
	return strings.Join(words, "+")
}

func (o *opsValue) Set(text string) error {
	for word := range strings.SplitSeq(text, "+") {
		*o = append(*o, Op(word))
	}
	return nil
}

// faultJSON is a Fault with its delay as a text.
type faultJSON struct {
	*plainFault
	Delay string `json:"delay,omitempty"`
}

type plainFault Fault

// MarshalJSON writes the delay as a Go duration such as "300ms".
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{plainFault: (*plainFault)(&f)}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON returns an error for an unknown field.
func (f *Fault) UnmarshalJSON(b []byte) error {
	j := faultJSON{plainFault: (*plainFault)(f)}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil || j.Delay == "" {
		return err
	}
	delay, err := time.ParseDuration(j.Delay)
	f.Delay = delay
	return err
}
