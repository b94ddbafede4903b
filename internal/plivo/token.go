// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted replaces a secret in every printed form.
const redacted = "[redacted]"

// Token is an auth token. Formatting, encoding and logging never show its value; only
// Reveal returns it.
//
// The value is behind a pointer, because fmt reads the unexported fields of a struct
// around it without calling a method: it then prints an address.
type Token struct {
	value *string
}

// NewToken returns a Token with the given value.
func NewToken(value string) Token {
	if value == "" {
		return Token{}
	}
	return Token{value: &value}
}

// Reveal returns the token's value. Use it only for the Authorization header and the
// data of a Secret.
func (t Token) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero says whether there is no token.
func (t Token) IsZero() bool { return t.value == nil }

// Equal compares in constant time.
func (t Token) Equal(other Token) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer.
func (t Token) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (t Token) GoString() string { return redacted }

// Format implements fmt.Formatter, for every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML use too.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalLog implements logr.Marshaler.
func (t Token) MarshalLog() any { return redacted }

// Digest identifies a token without its value. Digests of different Digesters are not
// comparable.
type Digest [16]byte

// Digester computes keyed digests of tokens, so that an inventory of thousands of
// subaccounts has no token in memory. The zero value is not usable; see NewDigester.
type Digester struct {
	key []byte
}

// NewDigester returns a Digester with the given secret key.
func NewDigester(key []byte) *Digester { return &Digester{key: key} }

// Digest returns the digest of a token's value; zero for an empty value.
func (d *Digester) Digest(value []byte) Digest {
	var out Digest
	if len(value) == 0 {
		return out
	}
	mac := hmac.New(sha256.New, d.key)
	mac.Write(value)
	copy(out[:], mac.Sum(nil))
	return out
}
