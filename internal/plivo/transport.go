// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	// An image without system roots needs these. Go uses them only if there are no others.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// DefaultBaseURL is the base URL of Plivo's API.
const DefaultBaseURL = "https://api.plivo.com"

// ParseBaseURL parses and checks a base URL. Requests have credentials in a header, so
// plain http is for loopback addresses only. A user, query or fragment is an error.
func ParseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		// The error must not show the text: it may contain credentials.
		return nil, errors.New("not an absolute URL such as " + DefaultBaseURL)
	}
	switch {
	case u.User != nil:
		return nil, errors.New("must not contain a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not contain a query or fragment")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		return nil, errors.New("plain http is for loopback addresses only: use https")
	default:
		return nil, fmt.Errorf("scheme %q: must be https", u.Scheme)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

const (
	// pingAfter and pingTimeout limit how long calls wait on a dead HTTP/2 connection.
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
)

// NewHTTPClient returns the HTTP client that all Clients of a process share. It uses
// TLS 1.2 or newer and HTTPS_PROXY, and drops dead connections. It follows no
// redirects: another server must not get the credentials, and a create must not be
// sent twice.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Transport: &renewing{current: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			OnProxyConnectResponse: refusedByProxy,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    32,
			IdleConnTimeout:        60 * time.Second,
			ExpectContinueTimeout:  time.Second,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// renewing is a transport that sends each request once, and uses new connections after
// a call that timed out: the old ones may be dead, and http.Transport would use them
// again.
type renewing struct {
	mu      sync.Mutex
	current *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	used := t.current
	t.mu.Unlock()
	var connections atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if connections.Add(1) > 1 && !isHTTP2(got.Conn) {
			// http.Transport repeats a request without a body if a reused connection
			// broke. The server may have counted it already.
			_ = got.Conn.Close()
		}
	}}
	resp, err := used.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if isTimeout(err) {
		t.renew(used)
	}
	if err != nil && connections.Load() == 0 {
		proxy, _ := used.Proxy(req)
		err = &connectError{err, proxy != nil}
	}
	return resp, err
}

// isHTTP2 says whether a connection also carries other calls. HTTP/2 repeats only
// requests that the server has not processed.
func isHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// renew replaces a transport, unless another call has already replaced it. Calls on
// the old connections go on.
func (t *renewing) renew(used *http.Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == used {
		t.current = used.Clone()
		used.CloseIdleConnections()
	}
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *renewing) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}

// connectError is a failure to get a connection, directly or through the proxy.
type connectError struct {
	error
	proxy bool
}

// Unwrap is called by errors.As.
func (e *connectError) Unwrap() error { return e.error }

// proxyRefusal is the HTTP status of a proxy that refuses to connect to Plivo.
type proxyRefusal int

func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return proxyRefusal(resp.StatusCode)
	}
	return nil
}

// Error implements error.
func (r proxyRefusal) Error() string {
	return fmt.Sprintf("it refused with HTTP %d %s", int(r), statusText(int(r)))
}

func isTimeout(err error) bool {
	var netError net.Error
	return errors.As(err, &netError) && netError.Timeout()
}

// transportFailure returns a safe message for a call without a response. It includes
// the text of an error only if the type of the error excludes that the text contains
// a part of a response.
func transportFailure(err error) string {
	var (
		connect   *connectError
		refusal   proxyRefusal
		dns       *net.DNSError
		cert      *tls.CertificateVerificationError
		hostname  x509.HostnameError
		authority x509.UnknownAuthorityError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &connect) && connect.proxy:
		return "the proxy of HTTPS_PROXY opened no connection: " + transportFailure(connect.error)
	case errors.As(err, &refusal):
		return refusal.Error()
	case connect != nil && isTimeout(connect.error):
		return "timed out before a connection was open; check DNS, firewalls and network policies"
	case isTimeout(err):
		return "timed out waiting for the response"
	case errors.As(err, &dns):
		return "the host name did not resolve"
	case errors.As(err, &cert):
		return "the TLS certificate is not valid: " + Redact(cert.Err.Error())
	case errors.As(err, &hostname), errors.As(err, &authority):
		return "the TLS certificate is not valid"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "it cannot be reached"
	case errors.As(err, &op) && op.Op == "dial":
		return "could not connect"
	default:
		return "the connection broke before a complete response came"
	}
}
