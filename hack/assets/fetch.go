// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"
)

// fetcher downloads by HTTP. A download may take any time as long as it does
// not stall.
type fetcher struct {
	client       *http.Client
	connectLimit time.Duration // from the request to the headers of its response
	stallLimit   time.Duration // between two reads of a response
	reportEvery  time.Duration
	log          io.Writer
	unreachable  map[string]error // the first connection error of each host
}

// fetch copies what a URL serves to w.
func (f *fetcher) fetch(ctx context.Context, url string, w io.Writer) error {
	parent := ctx
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	host := req.URL.Host
	if err := f.unreachable[host]; err != nil {
		return err
	}
	connecting := time.AfterFunc(f.connectLimit, func() {
		cancel(fmt.Errorf("no response within %s", f.connectLimit))
	})
	resp, err := f.client.Do(req)
	connecting.Stop()
	if err != nil {
		if parent.Err() != nil {
			return err
		}
		f.unreachable[host] = fmt.Errorf("%s is unreachable: %w", host, cmp.Or(context.Cause(ctx), errors.Unwrap(err)))
		return f.unreachable[host]
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	stalled := time.AfterFunc(f.stallLimit, func() {
		cancel(fmt.Errorf("%s: the download stalled: no data for %s", url, f.stallLimit))
	})
	defer stalled.Stop()
	body := &progress{
		Reader: resp.Body, name: path.Base(url), total: resp.ContentLength, log: f.log,
		every: f.reportEvery, next: time.Now().Add(f.reportEvery),
		onData: func() { stalled.Reset(f.stallLimit) },
	}
	if err := copyAll(w, body); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// progress reports from time to time how much of a download has been read.
type progress struct {
	io.Reader
	name        string
	read, total int64 // total is -1 if unknown
	log         io.Writer
	every       time.Duration
	next        time.Time
	onData      func()
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n == 0 {
		return n, err
	}
	p.onData()
	p.read += int64(n)
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(p.every)
		const mib = 1 << 20
		if p.total > 0 {
			say(p.log, "  %s: %d%% of %d MiB", p.name, 100*p.read/p.total, p.total/mib)
		} else {
			say(p.log, "  %s: %d MiB", p.name, p.read/mib)
		}
	}
	return n, err
}

func say(log io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(log, format+"\n", args...) }
