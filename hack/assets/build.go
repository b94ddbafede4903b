// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// build is a program to build from source.
type build struct {
	name    string
	module  string // the folder of the go.mod that pins it
	pkg     string
	ldflags string
	flags   []string
	cgo     bool // the build needs a C compiler
	// longest is how long it takes at most, on two cores and with a cold Go build cache.
	longest time.Duration
}

func (b build) run(ctx context.Context, file string, log io.Writer) error {
	started := time.Now()
	say(log, "Building %s from source: up to %s on two cores with a cold Go build cache", b.name, minutes(b.longest))
	args := append([]string{"build", "-trimpath", "-ldflags", strings.TrimSpace("-s -w " + b.ldflags)}, b.flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", file, b.pkg)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.module, log, log
	cgo := "CGO_ENABLED=0"
	if b.cgo {
		cgo = "CGO_ENABLED=1"
	}
	cmd.Env = append(os.Environ(), cgo, "GOFLAGS=-mod=readonly")
	// The go command stops its compilers when it is interrupted, not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stop := every(30*time.Second, func() { say(log, "  still building %s, %s", b.name, seconds(started)) })
	defer stop()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", b.name, err)
	}
	say(log, "  %s built in %s", b.name, seconds(started))
	return nil
}

// every calls f at intervals until stop returns.
func every(interval time.Duration, f func()) (stop func()) {
	ticker, done, ended := time.NewTicker(interval), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
	}
}

func minutes(d time.Duration) string { return fmt.Sprintf("%d min", int(d.Minutes())) }

func seconds(since time.Time) string { return fmt.Sprintf("%d s", int(time.Since(since).Seconds())) }
