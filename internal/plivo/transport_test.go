package plivo

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNothingOlderThanTLS12IsSpoken(t *testing.T) {
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		server.StartTLS()
		client := NewHTTPClient()
		transport := client.Transport.(*http.Transport)
		transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if spoken := err == nil; spoken != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
		server.Close()
	}
}

func TestParseBaseURL(t *testing.T) {
	cases := []struct{ in, want string }{ // want "": refused
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
		case err != nil && strings.Contains(err.Error(), "password@") || err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%q: the error shows the password: %v", c.in, err)
		case c.want == "" && err == nil:
			t.Errorf("%q: got %v, want it refused", c.in, u)
		case c.want != "" && (err != nil || u.String() != c.want):
			t.Errorf("%q: got %v, %v, want %s", c.in, u, err, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		cases := []struct {
			header string
			want   time.Duration
		}{
			{"", 0}, {"0", 0}, {"7", 7 * time.Second}, {"-7", 0}, {"soon", 0}, {"1.5", 0},
			{"3600", time.Hour}, {"3601", time.Hour}, {"99999999999999999999", time.Hour},
			{now.Add(time.Minute).UTC().Format(http.TimeFormat), time.Minute},
			{now.Add(-time.Minute).UTC().Format(http.TimeFormat), 0},
			{now.Add(24 * time.Hour).UTC().Format(http.TimeFormat), time.Hour},
		}
		for _, c := range cases {
			got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {c.header}}})
			if got != c.want {
				t.Errorf("%q: got %v, want %v", c.header, got, c.want)
			}
		}
	})
}

func TestCredentialsValidate(t *testing.T) {
	cases := []struct {
		name, id, token string
		good            bool
	}{
		{"good", mainID, mainToken, true},
		{"a subaccount's", absentID, mainToken, false},
		{"a line after the ID", mainID + "\n", mainToken, false},
		{"no ID", "", mainToken, false},
		{"no token", mainID, "", false},
		{"a line after the token", mainID, mainToken + "\n", false},
		{"a space in the token", mainID, "a b", false},
		{"not ASCII", mainID, "é", false},
	}
	for _, c := range cases {
		err := Credentials{AuthID: c.id, Token: NewToken(c.token)}.Validate()
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && c.id != "" && strings.Contains(err.Error(), strings.TrimSpace(c.id)) {
			t.Errorf("%s: shown in %v", c.name, err)
		}
	}
}
