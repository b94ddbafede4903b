// SPDX-License-Identifier: Apache-2.0

// Package pages checks the documentation against the code: links, reasons, words and
// versions. Package docs runs the commands in it.
package pages
