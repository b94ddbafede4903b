package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

const usage = `plivo-sim serves a simulated Plivo Subaccount API.

Usage: plivo-sim [flags]

`

const moreUsage = `
Faults. A fault is given as name=value pairs with commas between them, or as a
JSON object of the same names ("ops" is a list there, numbers are numbers):

  which requests
    ops          create, get, list, update, delete, other; several with a plus
    account      main account       authID       subaccount in the path
    skip         let so many pass   times        strike so often; 0: always
    probability  0 to 1; 0: always
  when the change is made
    when         (left out) never   after        before the answer
                 late               answered as if never; made after delay
  what becomes of the answer
    what         (left out) sent    cut          connection cut, no answer
                 cut-short          cut amid the body
                 hang               nothing; for delay, or until the client goes
    delay        of the answer, the late change or the hanging, as in 300ms
    status       200 to 599; left out: the true one, 500 if nothing was done
    body         empty, {}, html, truncated, error-object, error-no-apiid,
                 reflect, huge      text         a body literally
    retryAfter   seconds            location     for a redirect
  lists
    rows         stale (as at injection), none
    without      auth_id of a row to leave out
    shift        rows by which pages after the first are displaced
    total        added to total_count

  --fault ops=create,when=after,what=cut,times=1   made, and the answer lost
  --fault probability=0.05,status=503              one request in twenty fails
  --fault '{"ops":["list"],"rows":"none"}'         the list is empty

While it runs, GET and POST /_sim/faults, DELETE /_sim/faults/ID; also
/_sim/subaccounts, /_sim/neighbours, /_sim/calls, /_sim/accounts, /_sim/late.
These need no credentials and tell the simulator's tokens: listen where you can
afford that.
`

type options struct {
	listen            string
	certFile, keyFile string
	version           bool
	sim               plivosim.Options
	faults            []plivosim.Fault
}

var mainAccount = regexp.MustCompile(`^(MA[A-Z0-9]{18}):(.+)$`)

// parseFlags tells what is wrong on stderr itself.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{sim: plivosim.Options{Accounts: map[string]string{}}}
	fs := flag.NewFlagSet("plivo-sim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
		_, _ = fmt.Fprint(stderr, moreUsage)
	}
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8089", "`address` to listen on; port 0 picks one")
	fs.Func("account", "main account, as `MA…:token`; repeatable (default: one is made up and printed)", func(text string) error {
		m := mainAccount.FindStringSubmatch(text)
		if m == nil {
			return errors.New("not of the form MA…:token, with 20 characters before the colon")
		}
		o.sim.Accounts[m[1]] = m[2]
		return nil
	})
	fs.IntVar(&o.sim.RateLimit, "rate-limit", 300, "`requests` that an account may make in any 5 s; 0: no limit")
	fs.DurationVar(&o.sim.Latency, "latency", 0, "`time` added to every answer, as in 50ms")
	fs.StringVar(&o.certFile, "tls-cert-file", "", "serve TLS with the certificate in this `file`")
	fs.StringVar(&o.keyFile, "tls-key-file", "", "the key to --tls-cert-file, a `file`")
	fs.Uint64Var(&o.sim.Seed, "seed", 0, "`number` that makes IDs, tokens and the dice of faults repeatable; 0: random")
	fs.Func("fault", "`fault` to inject, see below; repeatable", func(text string) error {
		f, err := plivosim.ParseFault(text)
		o.faults = append(o.faults, f)
		return err
	})
	fs.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument: %s", strings.Join(fs.Args(), " "))
	case (o.certFile == "") != (o.keyFile == ""):
		err = errors.New("--tls-cert-file and --tls-key-file go together")
	case o.sim.RateLimit < 0 || o.sim.Latency < 0:
		err = errors.New("--rate-limit and --latency cannot be negative")
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "plivo-sim:", err)
	}
	return o, err
}
