package plivo

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
		if err == nil {
			t.Error("nothing listens there")
		}
		return
	}
	asked := make(chan *http.Request, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	child.Env = append(os.Environ(), "PROXY_TEST_CLIENT=yes", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
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
