// SPDX-License-Identifier: Apache-2.0

// Command plivo-sim serves a simulator of Plivo's Subaccount API, for development,
// demonstrations and pipelines without a Plivo account.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/version"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// shutdownGrace is how long requests in progress may take after the signal to stop.
const shutdownGrace = 3 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 for success, 1 for a failure, 2 for invalid flags.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case o.version:
		_, _ = fmt.Fprintln(stdout, "plivo-sim", version.String())
		return 0
	}
	if err := serve(ctx, o, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "plivo-sim:", err)
		return 1
	}
	return 0
}

// serve runs until ctx ends.
func serve(ctx context.Context, o options, stdout io.Writer) error {
	sim := plivosim.New(o.sim)
	for _, f := range o.faults {
		sim.Inject(f)
	}
	server := &http.Server{
		Handler:           sim,
		ReadHeaderTimeout: 10 * time.Second,
		// Requests that hang because of a fault end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	if o.certFile != "" {
		cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, "plivo-sim listening on", baseURL(o, listener.Addr()))
	if len(o.sim.Accounts) == 0 {
		id, token := sim.AddAccount()
		_, _ = fmt.Fprintf(stdout, "plivo-sim created a main account: PLIVO_AUTH_ID=%s PLIVO_AUTH_TOKEN=%s\n", id, token)
	}
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(listener, "", "")
		} else {
			ended <- server.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// ctx has ended, so the shutdown needs a context of its own.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		return server.Close()
	}
	return nil
}

// baseURL returns a URL that a client on this machine can use.
func baseURL(o options, addr net.Addr) string {
	scheme := "http"
	if o.certFile != "" {
		scheme = "https"
	}
	host := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return scheme + "://" + host
}
