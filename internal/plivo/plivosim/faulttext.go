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

// ParseFault reads a fault from JSON (a text that begins with a brace; Fault's
// JSON names, the delay as in "300ms"), or from its compact form: the same
// names, with ops joined by a plus, as in
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

// String is the compact form; every field that is zero is left out.
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

// fields binds the names of the compact form to an f that is zero.
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

// faultJSON is a Fault whose delay is a text.
type faultJSON struct {
	*plainFault
	Delay string `json:"delay,omitempty"`
}

type plainFault Fault

// MarshalJSON writes the delay as Go writes durations, as in "300ms".
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{plainFault: (*plainFault)(&f)}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON refuses fields that a Fault does not have.
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
