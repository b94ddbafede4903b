package plivo

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRedact_Secret_IsInNoForm(t *testing.T) {
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
			// At the edges of a base64 text a character holds bits of two bytes.
			left := len(strings.TrimSpace(strings.ReplaceAll(rest, redacted, "")))
			if most := len(encode(before)) + len(encode(after)) + 4; !ok || left > most || !strings.Contains(rest, redacted) {
				t.Fatalf("%q: %d characters left, at most %d", rest, left, most)
			}
		}
	})
}

func TestRedact_Text_IsBounded(t *testing.T) {
	if got := Redact(strings.Repeat("ä\n\x00 ", 1000)); len([]rune(got)) != maxForeignText+1 {
		t.Errorf("%d runes", len([]rune(got)))
	}
	if got := Redact("Secrets are forbidden", "are"); got != "Secrets are forbidden" {
		t.Error(got)
	}
}
