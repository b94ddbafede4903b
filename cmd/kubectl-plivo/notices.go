// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"k8s.io/cli-runtime/pkg/printers"
)

const (
	// shortList is the largest list whose reading takes less than a second: no progress.
	shortList     = 100
	progressWidth = 60
)

// notices writes what happens while the plugin reads a list. Only a terminal gets the
// progress: one line that each update overwrites and each notice replaces.
type notices struct {
	io.Writer
	isTerminal, hasLine bool
}

func newNotices(w io.Writer) *notices { return &notices{Writer: w, isTerminal: printers.IsTerminal(w)} }

// Write implements io.Writer.
func (n *notices) Write(p []byte) (int, error) {
	n.clear()
	return n.Writer.Write(p)
}

func (n *notices) progress(read, total int) {
	if !n.isTerminal || total <= shortList {
		return
	}
	n.hasLine = true
	// Spaces, because not every terminal of Windows knows the escape sequence to erase.
	_, _ = fmt.Fprintf(n.Writer, "\r%-*s", progressWidth, fmt.Sprintf("Read %d of %d subaccounts.", read, total))
}

// clear erases the line of progress.
func (n *notices) clear() {
	if n.hasLine {
		_, _ = fmt.Fprintf(n.Writer, "\r%-*s\r", progressWidth, "")
	}
	n.hasLine = false
}
