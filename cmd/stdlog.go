// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/go-logr/logr"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
)

// standardLog writes the lines of Go's standard logger, which net/http uses. It cuts off
// the bytes of a response that net/http quotes, because they may have tokens in them.
type standardLog struct{ logr.Logger }

// Write implements io.Writer.
func (l standardLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimSpace(string(line)), " starting with")
	l.Info("Standard log", logging.Message, text)
	return len(line), nil
}
