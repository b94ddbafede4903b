package plivo

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
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

// NewHTTPClient makes the HTTP client that all Clients of a process share: it
// follows no redirect (credentials must not travel, and a redirected create
// might be sent twice), speaks TLS 1.2 or newer, and honours HTTPS_PROXY.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   10 * time.Second,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       60 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// transportFailure says in safe words why no answer came. The error's own text
// is shown only where its type tells that it holds nothing of the answer.
func transportFailure(err error) string {
	var (
		dns        *net.DNSError
		cert       *tls.CertificateVerificationError
		hostname   x509.HostnameError
		authority  x509.UnknownAuthorityError
		op         *net.OpError
		netTimeout net.Error
	)
	switch {
	case errors.As(err, &netTimeout) && netTimeout.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host name did not resolve"
	case errors.As(err, &cert):
		return "TLS certificate not accepted: " + cert.Err.Error()
	case errors.As(err, &hostname), errors.As(err, &authority):
		return "TLS certificate not accepted"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection"
	default:
		return "the connection broke before a complete answer came"
	}
}
