// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTPClient_TLSBelow12_IsRefused(t *testing.T) {
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		server.StartTLS()
		client := NewHTTPClient()
		trust(client, server)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if spoken := err == nil; spoken != want {
			t.Errorf("%s: got %v, want accepted %v", tls.VersionName(version), err, want)
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
		server.Close()
	}
}

func TestParseBaseURL_InvalidURL_IsRefused(t *testing.T) {
	cases := []struct{ in, want string }{ // want "": an error
		{DefaultBaseURL, DefaultBaseURL},
		{"https://api.plivo.com/", DefaultBaseURL},
		{"HTTPS://api.plivo.com:8443/proxy//", "https://api.plivo.com:8443/proxy"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"http://127.9.9.9", "http://127.9.9.9"},
		{"http://[::1]:80/", "http://[::1]:80"},
		{"http://localhost:80", "http://localhost:80"},
		{"http://localhost.example.com", ""},
		{"http://api.plivo.com", ""},
		{"http://0.0.0.0", ""},
		{"http://10.0.0.1", ""},
		{"https://user@api.plivo.com", ""},
		{"https://user:password@api.plivo.com", ""},
		{"https://api.plivo.com?a=b", ""},
		{"https://api.plivo.com/?", ""},
		{"https://api.plivo.com#f", ""},
		{"ftp://api.plivo.com", ""},
		{"api.plivo.com", ""},
		{"https:api.plivo.com", ""},
		{"https://:443", ""},
		{"//api.plivo.com", ""},
		{"", ""},
		{"https://secret:hunter2@ho st", ""},
	}
	for _, c := range cases {
		u, err := ParseBaseURL(c.in)
		switch {
		case strings.Contains(fmt.Sprint(err), "password@"), strings.Contains(fmt.Sprint(err), "hunter2"):
			t.Errorf("%q: got the password in %v", c.in, err)
		case c.want == "" && err == nil:
			t.Errorf("%q: got %v, want an error", c.in, u)
		case c.want != "" && fmt.Sprint(u, err) != c.want+" <nil>":
			t.Errorf("%q: got %v, %v, want %s", c.in, u, err, c.want)
		}
	}
}

func TestRetryAfter_SecondsOrDate_IsAtMostOneHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := func(later time.Duration) string { return time.Now().Add(later).UTC().Format(http.TimeFormat) }
		cases := []struct {
			header, date string
			want         time.Duration
		}{
			{"", "", 0}, {"0", "", 0}, {"7", "", 7 * time.Second}, {"-7", "", 0}, {"soon", "", 0}, {"1.5", "", 0},
			{"3600", "", time.Hour}, {"3601", "", time.Hour}, {"99999999999999999999", "", time.Hour},
			{"7", date(-time.Hour), 7 * time.Second},
			{date(time.Minute), "", time.Minute},
			{date(time.Minute), "soon", time.Minute},
			{date(-time.Minute), "", 0},
			{date(24 * time.Hour), "", time.Hour},
			{date(-time.Hour), date(-time.Hour - 20*time.Second), 20 * time.Second}, // the server's clock is behind
			{date(time.Hour), date(time.Hour - 20*time.Second), 20 * time.Second},   // the server's clock is ahead
		}
		for _, c := range cases {
			got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {c.header}, "Date": {c.date}}})
			if got != c.want {
				t.Errorf("%q at %q: got %v, want %v", c.header, c.date, got, c.want)
			}
		}
	})
}

func TestCredentials_InvalidForm_IsRefused(t *testing.T) {
	cases := []struct {
		name, id, token string
		good            bool
	}{
		{"valid", mainID, mainToken, true},
		{"auth ID of a subaccount", absentID, mainToken, false},
		{"newline after the ID", mainID + "\n", mainToken, false},
		{"no ID", "", mainToken, false},
		{"no token", mainID, "", false},
		{"newline after the token", mainID, mainToken + "\n", false},
		{"space in the token", mainID, "a b", false},
		{"not ASCII", mainID, "é", false},
	}
	for _, c := range cases {
		err := Credentials{AuthID: c.id, Token: NewToken(c.token)}.Validate()
		if (err == nil) != c.good {
			t.Errorf("%s: got %v, want valid %v", c.name, err, c.good)
		}
		if err != nil && c.id != "" && strings.Contains(err.Error(), strings.TrimSpace(c.id)) {
			t.Errorf("%s: got the auth ID in %v", c.name, err)
		}
	}
}
