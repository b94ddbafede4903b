// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const account = "MAAAAAAAAAAAAAAAAAAA"

// program is a run of the command.
type program struct {
	lines *bufio.Scanner
	stop  context.CancelFunc
	code  chan int
}

// launch runs the command until stop and returns its URL.
func launch(t *testing.T, args ...string) (*program, string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	p := &program{lines: bufio.NewScanner(out), stop: stop, code: make(chan int, 1)}
	go func() {
		p.code <- run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), in, t.Output())
		_ = in.Close()
	}()
	t.Cleanup(func() { stop(); _, _ = io.Copy(io.Discard, out) })
	url, ok := strings.CutPrefix(p.line(t), "plivo-sim listening on ")
	if !ok {
		t.Fatalf("got first line %q, want one with the URL", url)
	}
	return p, url
}

func (p *program) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatal("got the end of the output, want another line")
	}
	return p.lines.Text()
}

func (p *program) exitCode() int {
	p.stop()
	return <-p.code
}

func get(t *testing.T, client *http.Client, url, id, token string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/Account/"+id+"/Subaccount/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(id, token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestRun_AccountAndFault_ServesThem(t *testing.T) {
	p, url := launch(t, "--account", account+":to:ken", "--rate-limit", "2", "--fault", "ops=list,status=503,times=1")
	for _, want := range []int{503, 200, 429} {
		if got := get(t, http.DefaultClient, url, account, "to:ken"); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if code := p.exitCode(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}

func TestRun_WithoutAccount_CreatesOne(t *testing.T) {
	p, url := launch(t)
	words := strings.Fields(p.line(t))
	id := strings.TrimPrefix(words[len(words)-2], "PLIVO_AUTH_ID=")
	token := strings.TrimPrefix(words[len(words)-1], "PLIVO_AUTH_TOKEN=")
	if got := get(t, http.DefaultClient, url, id, token); got != 200 {
		t.Errorf("printed account: got %d, want 200", got)
	}
}

func TestRun_Certificate_ServesTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	_, url := launch(t, "--account", account+":token", "--tls-cert-file", certFile, "--tls-key-file", keyFile)
	if !strings.HasPrefix(url, "https://") {
		t.Errorf("got URL %s, want https", url)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	if got := get(t, client, url, account, "token"); got != 200 {
		t.Errorf("got %d, want 200", got)
	}
}

// certificate writes the certificate of httptest, which is for 127.0.0.1, into files.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	cert := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return certFile, keyFile, pool
}

func TestRun_RequestHangs_StillEnds(t *testing.T) {
	p, url := launch(t, "--account", account+":token", "--fault", "ops=list,what=hang")
	failed := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/Account/"+account+"/Subaccount/", nil)
		req.SetBasicAuth(account, "token")
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	for !strings.Contains(read(t, url+"/_sim/calls"), "what=hang") { // wait until the request has arrived
	}
	if code := p.exitCode(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	if err := <-failed; err == nil {
		t.Error("got a response to the request that hangs, want an error")
	}
}

func read(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRun_Flags_SetExitCode(t *testing.T) {
	for _, c := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"--version", 0, "plivo-sim ", ""},
		{"--help", 0, "", "--fault ops=create,when=after,what=cut"},
		{"--account MA1:token", 2, "", "MA…:token"},
		{"--account " + account, 2, "", "MA…:token"},
		{"--fault ops=creat", 2, "", `no such op: "creat"`},
		{"--fault opps=create", 2, "", `a fault has no "opps"`},
		{"--tls-cert-file x", 2, "", "go together"},
		{"--rate-limit -1", 2, "", "cannot be negative"},
		{"extra", 2, "", "unexpected argument: extra"},
		{"--tls-cert-file none --tls-key-file none", 1, "", "none"},
		{"--listen 127.0.0.1:x", 1, "", "unknown port"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("got exit code %d, stdout %q, stderr %q; want %d, %q, %q", code, stdout.String(), stderr.String(), c.code, c.stdout, c.stderr)
			}
		})
	}
}
