// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// net/http logs the bytes that follow a response on a connection that it keeps.
func TestStandardLog_BytesAfterResponse_AreCutOff(t *testing.T) {
	lines := make(chan string, 100)
	stdlog.SetOutput(standardLog{funcr.New(func(_, args string) { lines <- args }, funcr.Options{})})
	defer stdlog.SetOutput(io.Discard)
	token := strings.Repeat("T", 40)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 204 No Content\r\n\r\n{\"auth_token\": %q}", token)
	}))
	defer server.Close()
	base, err := plivo.ParseBaseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := plivo.NewClient(base, plivo.NewHTTPClient(), plivo.Credentials{AuthID: "MAAAAAAAAAAAAAAAAAAA", Token: plivo.NewToken("token")}, "test")
	if err := client.Delete(t.Context(), "SAAAAAAAAAAAAAAAAAAA", false); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-lines:
		if strings.Contains(line, token) || !strings.Contains(line, "Unsolicited response") {
			t.Errorf("got the line %q, want what net/http says, without the token", line)
		}
	case <-time.After(time.Minute):
		t.Error("got no line of net/http within a minute")
	}
}
