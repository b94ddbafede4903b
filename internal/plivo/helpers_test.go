// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const (
	mainID    = "MAAAAAAAAAAAAAAAAAAA"
	mainToken = "main/token+with=signs"
	absentID  = "SAZZZZZZZZZZZZZZZZZZ"
)

var credentials = Credentials{AuthID: mainID, Token: NewToken(mainToken)}

// newSim returns a simulator with the credentials, and one of its subaccounts.
func newSim() (*plivosim.Server, string) {
	sim := plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: mainToken}, Seed: 1})
	return sim, sim.Add(mainID, "one", true).AuthID
}

// overHTTP returns a client of a handler behind a real socket.
func overHTTP(t *testing.T, h http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := ParseBaseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	httpClient := NewHTTPClient()
	t.Cleanup(httpClient.CloseIdleConnections)
	return NewClient(base, httpClient, credentials, "test")
}

// trust makes an HTTP client accept a server's certificate, and returns its transport.
func trust(client *http.Client, server *httptest.Server) *http.Transport {
	transport := client.Transport.(*renewing).current
	transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return transport
}

// inProcess sends requests to a handler without a socket.
type inProcess = inprocess.Transport

func newInProcess(h http.Handler) *Client {
	httpClient := NewHTTPClient()
	httpClient.Transport = inProcess{Handler: h}
	return NewClient(&url.URL{Scheme: "https", Host: "plivo.test"}, httpClient, credentials, "test")
}

// always returns a handler with one response.
func always(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// fiveCalls has a function for each call.
var fiveCalls = []struct {
	op   Operation
	call func(context.Context, *Client, string) error
}{
	{OperationCreate, func(ctx context.Context, c *Client, _ string) error {
		_, err := c.Create(ctx, "name", false)
		return err
	}},
	{OperationGet, func(ctx context.Context, c *Client, authID string) error {
		_, err := c.Get(ctx, authID)
		return err
	}},
	{OperationList, func(ctx context.Context, c *Client, _ string) error {
		_, err := c.List(ctx, MaxPageSize, 0)
		return err
	}},
	{OperationUpdate, func(ctx context.Context, c *Client, authID string) error {
		return c.Update(ctx, authID, "name", true)
	}},
	{OperationDelete, func(ctx context.Context, c *Client, authID string) error {
		return c.Delete(ctx, authID, false)
	}},
}
