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

	// A bare image has no system roots; these are used only where there are none.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// DefaultBaseURL is where Plivo's API is.
const DefaultBaseURL = "https://api.plivo.com"

// ParseBaseURL checks a base URL: https, or http to a loopback address only,
// because credentials travel in a header; no user, query or fragment.
func ParseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		// The text of a URL that does not parse may hold credentials.
		return nil, errors.New("not an absolute URL such as " + DefaultBaseURL)
	}
	switch {
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not hold a query or fragment")
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
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const (
	// pingAfter and pingTimeout bound how long a dead HTTP/2 connection stays
	// unnoticed while calls wait on it.
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
)

// NewHTTPClient makes the HTTP client that all Clients of a process share: it
// follows no redirect (credentials must not travel, and a redirected create
// might be sent twice), speaks TLS 1.2 or newer, honours HTTPS_PROXY, and leaves
// dead connections.
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

// renewing is a transport that uses new connections after a call that got no
// answer in time. Its connection may be dead, and http.Transport would use it
// again, as it would the other ones that it keeps.
type renewing struct {
	mu      sync.Mutex
	current *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	used := t.current
	t.mu.Unlock()
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := used.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if isTimeout(err) {
		t.renew(used)
	}
	if proxy, _ := used.Proxy(req); err != nil && proxy != nil && !connected.Load() {
		err = &proxyError{err}
	}
	return resp, err
}

// renew leaves the connections of a transport to the calls that are under way on
// them, unless another call has done that.
func (t *renewing) renew(used *http.Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == used {
		t.current = used.Clone()
		used.CloseIdleConnections()
	}
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *renewing) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}

// proxyError is why there is no connection where the proxy has to open it.
type proxyError struct{ error }

// Unwrap is what errors.As calls.
func (e *proxyError) Unwrap() error { return e.error }

// proxyRefusal is the status with which a proxy refuses to connect to Plivo.
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

// transportFailure says in safe words why no answer came. The error's own text
// is shown only where its type tells that it holds nothing of the answer.
func transportFailure(err error) string {
	var (
		proxy     *proxyError
		refusal   proxyRefusal
		dns       *net.DNSError
		cert      *tls.CertificateVerificationError
		hostname  x509.HostnameError
		authority x509.UnknownAuthorityError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &proxy):
		return "the proxy of HTTPS_PROXY opened no connection: " + transportFailure(proxy.error)
	case errors.As(err, &refusal):
		return refusal.Error()
	case isTimeout(err):
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host name did not resolve"
	case errors.As(err, &cert):
		return "TLS certificate not accepted: " + cert.Err.Error()
	case errors.As(err, &hostname), errors.As(err, &authority):
		return "TLS certificate not accepted"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "it cannot be reached"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection"
	default:
		return "the connection broke before a complete answer came"
	}
}
