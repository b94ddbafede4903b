package plivo

import (
	"encoding/base64"
	"strings"
	"unicode"
)

// maxForeignText bounds what is shown of somebody else's words, in runes.
const maxForeignText = 512

// minSecret is the length from which a value counts as a secret: a shorter one
// would take ordinary words out of a text.
const minSecret = 8

// Redact makes a text of somebody else safe to show: it takes the secrets out, as
// they are and in base64 wherever they begin in it, and bounds it.
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
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > maxForeignText {
		text = string(runes[:maxForeignText]) + "…"
	}
	return text
}

// encodedWithin are the characters of an encoded text that a secret in it alone
// decides, if it begins so many bytes after a multiple of three.
func encodedWithin(encoding *base64.Encoding, secret string, shift int) string {
	padded := strings.Repeat("\x00", shift) + secret
	first, last := (8*shift+5)/6, 8*len(padded)/6
	return encoding.EncodeToString([]byte(padded))[first:last]
}
