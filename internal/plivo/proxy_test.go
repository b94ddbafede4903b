package plivo

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// net/http reads the proxy variables once in the life of a process, so the
// client that honours them lives in one of its own.
func TestTheProxyOfTheEnvironmentIsUsed(t *testing.T) {
	if os.Getenv("PROXY_TEST_CLIENT") != "" {
		base, err := ParseBaseURL("https://api.plivo.invalid")
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewClient(base, NewHTTPClient(), Credentials{AuthID: mainID, Token: NewToken(mainToken)}, "test").List(t.Context(), 1, 0)
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
	told := listThroughProxy(t, proxy.URL)
	if want := "the proxy of HTTPS_PROXY refused the connection: HTTP 502 Bad Gateway"; !strings.Contains(told, want) {
		t.Errorf("got %q, want %q", told, want)
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

func TestAProxyThatCannotBeReachedIsNamed(t *testing.T) {
	for proxy, want := range map[string]string{
		"http://somebody:hunter2@127.0.0.1:1": "the proxy of HTTPS_PROXY cannot be reached: no connection",
	} {
		told := listThroughProxy(t, proxy)
		if !strings.Contains(told, want) || strings.Contains(told, "hunter2") || strings.Contains(told, "somebody") {
			t.Errorf("got %q, want %q and no credentials", told, want)
		}
	}
}

// listThroughProxy returns what a process says that lists through a proxy.
func listThroughProxy(t *testing.T, proxy string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheProxyOfTheEnvironmentIsUsed$", "-test.count=1")
	child.Env = append(os.Environ(), "PROXY_TEST_CLIENT=yes", "HTTPS_PROXY="+proxy, "NO_PROXY=", "no_proxy=")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
