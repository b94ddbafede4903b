// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// freezer is a TCP proxy that can stop its connections without closing them.
type freezer struct {
	net.Listener
	target   string
	accepted atomic.Int32

	mu    sync.Mutex
	alive chan struct{} // closed once the current connections are frozen
}

func newFreezer(t *testing.T, target string) *freezer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{Listener: listener, target: target, alive: make(chan struct{})}
	go f.run(t.Context())
	t.Cleanup(func() { _ = listener.Close() })
	return f
}

func (f *freezer) run(ctx context.Context) {
	for {
		client, err := f.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		f.accepted.Add(1)
		context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
		f.mu.Lock()
		go f.carry(server, client, f.alive)
		go f.carry(client, server, f.alive)
		f.mu.Unlock()
	}
}

// carry copies one direction until freeze. After that it also keeps the end of the
// connection to itself.
func (f *freezer) carry(to io.WriteCloser, from io.Reader, alive <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-alive:
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		_, _ = to.Write(buffer[:n])
	}
}

// freeze stops all current connections.
func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.alive)
	f.alive = make(chan struct{})
}

// behindFreezer returns a client of a simulator over TLS, through a freezer.
func behindFreezer(t *testing.T, h http.Handler, isHTTP2 bool, change func(*http.Transport)) (*Client, *freezer) {
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = isHTTP2
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	f := newFreezer(t, server.Listener.Addr().String())
	base, err := ParseBaseURL("https://" + f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	httpClient := NewHTTPClient()
	change(trust(httpClient, server))
	t.Cleanup(httpClient.CloseIdleConnections)
	return NewClient(base, httpClient, credentials, "test"), f
}

func TestRenewing_CallTimesOut_NextCallUsesNewConnection(t *testing.T) {
	for _, isHTTP2 := range []bool{false, true} {
		sim, one := newSim()
		const together = 3
		arrived := make(chan struct{}, together)
		allArrived := make(chan struct{})
		var protocol atomic.Value
		var isConnected atomic.Bool
		client, f := behindFreezer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if protocol.Store(r.Proto); isConnected.Load() {
				select {
				case arrived <- struct{}{}: // HTTP/1.1 then needs a connection for each
					<-allArrived
				default:
				}
			}
			sim.ServeHTTP(w, r)
		}), isHTTP2, func(*http.Transport) {})
		// Without a connection, each of the calls would open one, also with HTTP/2, and the
		// freezer would count the superfluous ones late.
		if _, err := client.Get(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		isConnected.Store(true)
		var calls sync.WaitGroup
		for range together {
			calls.Go(func() {
				if _, err := client.Get(t.Context(), one); err != nil {
					t.Error(err)
				}
			})
		}
		for len(arrived) < together {
			time.Sleep(time.Millisecond)
		}
		close(allArrived)
		calls.Wait()
		before := f.accepted.Load()
		f.freeze()

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		e := wantKind(t, client.Update(ctx, one, "two", true), OperationUpdate, KindUnknown)
		cancel()
		if e.Message != "timed out waiting for the response" {
			t.Errorf("got %v, want a timeout", e)
		}
		if _, err := client.Get(t.Context(), one); err != nil {
			t.Errorf("%v: call after the timeout: got %v, want no error", protocol.Load(), err)
		}
		if n := f.accepted.Load() - before; n != 1 {
			t.Errorf("%v: got %d new connections, want 1", protocol.Load(), n)
		}
		if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[isHTTP2]; protocol.Load() != want {
			t.Errorf("got %v, want %s", protocol.Load(), want)
		}
	}
}

func TestHTTP2_HealthCheckFails_EndsCallsOnConnection(t *testing.T) {
	if config := NewHTTPClient().Transport.(*renewing).current.HTTP2; config.SendPingTimeout != pingAfter || config.PingTimeout != pingTimeout {
		t.Fatalf("got %+v, want pingAfter and pingTimeout", config)
	}
	sim, one := newSim()
	client, f := behindFreezer(t, sim, true, func(transport *http.Transport) {
		transport.HTTP2.SendPingTimeout, transport.HTTP2.PingTimeout = 20*time.Millisecond, 20*time.Millisecond
	})
	if _, err := client.Get(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	f.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := wantKind(t, client.Update(ctx, one, "two", true), OperationUpdate, KindUnknown)
	if ctx.Err() != nil {
		t.Errorf("got the call ended by its timeout, want by the health check: %v", e)
	}
	if _, err := client.Get(ctx, one); err != nil {
		t.Error(err)
	}
}

// goingAway is an HTTP/2 server that ends the stream of each POST in one of several
// ways, without a response.
type goingAway struct {
	giveUp func(framer *http2.Framer, conn net.Conn, stream uint32) error
	early  bool // before the body has arrived
	posts  atomic.Int32
}

func (g *goingAway) serve(_ *http.Server, conn *tls.Conn, _ http.Handler) {
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	err = errors.Join(err, framer.WriteSettings())
	for err == nil {
		var frame http2.Frame
		if frame, err = framer.ReadFrame(); err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			g.posts.Add(1)
			if g.early {
				err = g.giveUp(framer, conn, f.StreamID)
			}
		case *http2.DataFrame:
			if f.StreamEnded() && !g.early {
				err = g.giveUp(framer, conn, f.StreamID)
			}
		}
	}
}

func TestCreate_HTTP2ServerEndsStream_IsSentOnce(t *testing.T) {
	unprocessed := func(framer *http2.Framer, _ net.Conn, _ uint32) error {
		return framer.WriteGoAway(0, http2.ErrCodeNo, nil)
	}
	ways := map[string]*goingAway{
		"GOAWAY after the request": {giveUp: unprocessed},
		"GOAWAY before its body":   {giveUp: unprocessed, early: true},
		"REFUSED_STREAM": {giveUp: func(framer *http2.Framer, _ net.Conn, id uint32) error {
			return framer.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}},
		"REFUSED_STREAM before body": {giveUp: func(framer *http2.Framer, _ net.Conn, id uint32) error {
			return framer.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}, early: true},
		"GOAWAY, processed, then closed": {giveUp: func(framer *http2.Framer, conn net.Conn, id uint32) error {
			return errors.Join(framer.WriteGoAway(id, http2.ErrCodeNo, nil), conn.Close())
		}},
	}
	for name, way := range ways {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.EnableHTTP2 = true
		server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": way.serve}
		server.StartTLS()
		base, err := ParseBaseURL(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		httpClient := NewHTTPClient()
		trust(httpClient, server)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err = NewClient(base, httpClient, credentials, "test").Create(ctx, "name", false)
		wantKind(t, err, OperationCreate, KindUnknown)
		if n := way.posts.Load(); n != 1 || ctx.Err() != nil {
			t.Errorf("%s: got %d creates at the server (%v, %v), want 1", name, n, err, ctx.Err())
		}
		cancel()
		httpClient.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	}
}

// The body of a 101 is the connection, and a read from it ignores the context.
func TestCall_SwitchingProtocols_EndsAtDeadline(t *testing.T) {
	client := overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := client.List(ctx, MaxPageSize, 0)
		ended <- err
	}()
	select {
	case err := <-ended:
		wantKind(t, err, OperationList, KindUnknown)
	case <-time.After(time.Minute):
		t.Error("got no result a minute after the deadline")
	}
}
