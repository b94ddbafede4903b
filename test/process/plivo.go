// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"regexp"
	"syscall"
	"time"
)

// Plivo is a process of plivo-sim, the simulated Plivo.
type Plivo struct {
	*Process
	URL string
}

var listening = regexp.MustCompile(`listening on (\S+)\n`)

// StartPlivo starts plivo-sim on a free port with additional arguments, and returns when
// it listens.
func StartPlivo(program string, args ...string) (*Plivo, error) {
	log := &Log{}
	p, err := Start(log, nil, program, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, err
	}
	for end := time.After(time.Minute); ; {
		if m := listening.FindStringSubmatch(log.String()); m != nil {
			return &Plivo{Process: p, URL: m[1]}, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
			continue
		case <-p.Exited():
		case <-end:
		}
		return nil, fmt.Errorf("plivo-sim does not listen: %v: %s", p.Stop(syscall.SIGKILL), log)
	}
}
