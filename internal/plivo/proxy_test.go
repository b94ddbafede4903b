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

// net/http reads the proxy variables once in the life of a process, so the
// client that honours them lives in one of its own.
func TestTheProxyOfTheEnvironmentIsUsed(t *testing.T) {
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
	asked := make(chan *http.Request, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	got := listThroughProxy(t, proxy.URL, "1m")
	if want := "the proxy of HTTPS_PROXY opened no connection: it refused with HTTP 502 Bad Gateway"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	close(asked)
	r := <-asked
	if r == nil {
		t.Fatal("the proxy was not asked")
	}
	if r.Method != http.MethodConnect || r.Host != "api.plivo.invalid:443" {
		t.Errorf("%s %s", r.Method, r.Host)
	}
	if h := r.Header.Get("Authorization"); h != "" {
		t.Error("the proxy was shown the credentials")
	}
}

func TestAProxyThatFailsIsNamed(t *testing.T) {
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
		{connections(func(conn net.Conn) { _ = conn.Close() }), "1m", "the connection broke before a complete answer came"},
		{connections(func(conn net.Conn) { t.Cleanup(func() { _ = conn.Close() }) }), "100ms", "no answer in time"},
	} {
		got := listThroughProxy(t, "http://somebody:hunter2@"+c.address, c.limit)
		want := "the proxy of HTTPS_PROXY opened no connection: " + c.want
		if !strings.Contains(got, want) || strings.Contains(got, "hunter2") || strings.Contains(got, "somebody") {
			t.Errorf("got %q, want %q and no credentials", got, want)
		}
	}
}

// listThroughProxy returns what a process says that lists through a proxy, with a
// time limit.
func listThroughProxy(t *testing.T, proxy, limit string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheProxyOfTheEnvironmentIsUsed$", "-test.count=1")
	child.Env = append(os.Environ(), "PROXY_TEST_LIMIT="+limit, "HTTPS_PROXY="+proxy, "NO_PROXY=", "no_proxy=")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
