// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// net/http reads the proxy variables once per process, so the client runs in a process
// of its own.
func TestHTTPClient_HTTPSProxy_IsUsedWithoutCredentials(t *testing.T) {
	if limit, err := time.ParseDuration(os.Getenv("PROXY_TEST_LIMIT")); err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		base, err := ParseBaseURL("https://api.plivo.invalid")
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewClient(base, NewHTTPClient(), Credentials{AuthID: mainID, Token: NewToken(mainToken)}, "test").List(ctx, 1, 0)
		wantKind(t, err, OperationList, KindUnknown)
		fmt.Println("error:", err)
		return
	}
	requests := make(chan *http.Request, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	got := listThroughProxy(t, proxy.URL, "1m")
	if want := "the proxy of HTTPS_PROXY opened no connection: it refused with HTTP 502 Bad Gateway"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	close(requests)
	r := <-requests
	if r == nil {
		t.Fatal("got no request at the proxy, want one")
	}
	if r.Method != http.MethodConnect || r.Host != "api.plivo.invalid:443" {
		t.Errorf("got %s %s, want CONNECT api.plivo.invalid:443", r.Method, r.Host)
	}
	if h := r.Header.Get("Authorization"); h != "" {
		t.Error("got the credentials at the proxy, want none")
	}
}

func TestHTTPClient_ProxyFails_ErrorNamesProxy(t *testing.T) {
	connections := func(handle func(net.Conn)) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				handle(conn)
			}
		}()
		return listener.Addr().String()
	}
	for _, c := range []struct{ address, limit, want string }{
		{"127.0.0.1:1", "1m", "it cannot be reached"},
		{connections(func(conn net.Conn) { _ = conn.Close() }), "1m", "the connection broke before a complete response came"},
		{connections(func(conn net.Conn) { t.Cleanup(func() { _ = conn.Close() }) }), "100ms", "timed out waiting for the response"},
	} {
		got := listThroughProxy(t, "http://somebody:hunter2@"+c.address, c.limit)
		want := "the proxy of HTTPS_PROXY opened no connection: " + c.want
		if !strings.Contains(got, want) || strings.Contains(got, "hunter2") || strings.Contains(got, "somebody") {
			t.Errorf("got %q, want %q and no credentials", got, want)
		}
	}
}

// listThroughProxy returns the output of a process that sends a list through a proxy,
// with a timeout.
func listThroughProxy(t *testing.T, proxy, limit string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHTTPClient_HTTPSProxy_IsUsedWithoutCredentials$", "-test.count=1")
	child.Env = append(os.Environ(), "PROXY_TEST_LIMIT="+limit, "HTTPS_PROXY="+proxy, "NO_PROXY=", "no_proxy=")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
