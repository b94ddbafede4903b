// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRedact_Secret_IsRemovedInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9+/_=-]{8,60}`).Draw(t, "secret")
		before, after := rapid.StringMatching(`[a-z ]{0,9}`).Draw(t, "before"), rapid.StringMatching(`[a-z ]{0,9}`).Draw(t, "after")
		for _, encode := range []func(string) string{
			func(s string) string { return s },
			func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
			func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		} {
			const words = `admission webhook "x" denied the request:`
			rest, ok := strings.CutPrefix(Redact(words+" "+encode(before+secret+after), secret), words)
			// At both ends of a base64 text a character has bits of two bytes.
			left := len(strings.TrimSpace(strings.ReplaceAll(rest, redacted, "")))
			if most := len(encode(before)) + len(encode(after)) + 4; !ok || left > most || !strings.Contains(rest, redacted) {
				t.Fatalf("%q: got %d characters left, want at most %d", rest, left, most)
			}
		}
	})
}

func TestRedact_LongText_IsShortened(t *testing.T) {
	if got := Redact(strings.Repeat("ä\n\x00 ", 1000)); len([]rune(got)) != maxForeignText+1 {
		t.Errorf("got %d runes, want %d", len([]rune(got)), maxForeignText+1)
	}
	if got := Redact("Secrets are forbidden", "are"); got != "Secrets are forbidden" {
		t.Errorf("got %q, want the text unchanged", got)
	}
}
