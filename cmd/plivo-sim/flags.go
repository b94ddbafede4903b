// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

const usage = `plivo-sim serves a simulated Plivo Subaccount API.

Usage: plivo-sim [flags]

`

// moreUsage follows the flags. The explanation of faults is between its two parts.
const moreUsage = `
Faults:

%s
Examples:

  --fault ops=create,when=after,what=cut,times=1   created, but the response is lost
  --fault probability=0.05,status=503              5%% of the requests fail
  --fault '{"ops":["list"],"rows":"none"}'         the list is empty

The control endpoint is under /_sim/: accounts, subaccounts, neighbours, calls,
faults and late. For example, GET and POST /_sim/faults list and add faults, and
DELETE /_sim/faults/ID removes one. The endpoint needs no credentials and shows
the tokens of the simulator: listen only where that does no harm.
`

type options struct {
	listen            string
	certFile, keyFile string
	version           bool
	sim               plivosim.Options
	faults            []plivosim.Fault
}

var mainAccount = regexp.MustCompile(`^(MA[A-Z0-9]{18}):(.+)$`)

// parseFlags prints its error to stderr, as the flag package does.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{sim: plivosim.Options{Accounts: map[string]string{}}}
	fs := flag.NewFlagSet("plivo-sim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
		_, _ = fmt.Fprintf(stderr, moreUsage, plivosim.FaultHelp())
	}
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8089", "`address` to listen on; port 0 means a free port")
	fs.Func("account", "main account, as `MA…:token`; repeatable (default: a random one, which is printed)", func(text string) error {
		m := mainAccount.FindStringSubmatch(text)
		if m == nil {
			return errors.New("must have the form MA…:token, with 20 characters before the colon")
		}
		o.sim.Accounts[m[1]] = m[2]
		return nil
	})
	fs.IntVar(&o.sim.RateLimit, "rate-limit", 300, "`requests` that an account may make in any 5 s; 0 means no limit")
	fs.DurationVar(&o.sim.Latency, "latency", 0, "`time` to add to every response, such as 50ms")
	fs.StringVar(&o.certFile, "tls-cert-file", "", "serve TLS with the certificate in this `file`")
	fs.StringVar(&o.keyFile, "tls-key-file", "", "`file` with the key of --tls-cert-file")
	fs.Uint64Var(&o.sim.Seed, "seed", 0, "`number` that makes IDs, tokens and the probability of faults repeatable; 0 means random")
	fs.Func("fault", "`fault` to inject; repeatable. See below", func(text string) error {
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
