// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"encoding/base64"
	"strings"
	"unicode"
)

// maxForeignText limits the length of a text from another program, in runes.
const maxForeignText = 512

// minSecret is the least length of a secret. Removing a shorter value would remove
// ordinary words from a text.
const minSecret = 8

// Redact makes a text from another program safe to show: it removes the secrets, also
// inside of base64 text, and limits the length.
func Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		text = strings.ReplaceAll(text, secret, redacted)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for shift := range 3 {
				text = strings.ReplaceAll(text, encodedWithin(encoding, secret, shift), redacted)
			}
		}
	}
	return truncate(oneLine(text), maxForeignText)
}

// oneLine replaces whitespace and characters that cannot be printed by single spaces.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}

// truncate limits a text to a number of runes.
func truncate(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// encodedWithin returns the base64 characters that depend only on the secret, if the
// secret starts shift bytes after a multiple of three. Base64 encodes groups of three
// bytes, so the characters at both ends also depend on the text around the secret.
func encodedWithin(encoding *base64.Encoding, secret string, shift int) string {
	padded := strings.Repeat("\x00", shift) + secret
	first, last := (8*shift+5)/6, 8*len(padded)/6
	return encoding.EncodeToString([]byte(padded))[first:last]
}
