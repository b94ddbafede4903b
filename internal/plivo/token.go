package plivo

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every way of printing a Token shows.
const redacted = "[redacted]"

// Token is an auth token. No way of formatting, encoding or logging it shows
// its value; only Reveal does.
//
// The value sits behind a pointer, because fmt reads unexported fields of a
// surrounding struct without asking any method: it then finds an address.
type Token struct {
	value *string
}

// NewToken wraps a token's value.
func NewToken(value string) Token {
	if value == "" {
		return Token{}
	}
	return Token{value: &value}
}

// Reveal returns the token's value. It is for the Authorization header and
// the data of a Secret, and for nothing else.
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

// MarshalText implements encoding.TextMarshaler, and so covers JSON and YAML.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalLog implements logr.Marshaler.
func (t Token) MarshalLog() any { return redacted }

// Digest identifies a token without holding it. Digests of different
// Digesters cannot be compared.
type Digest [16]byte

// Digester makes keyed digests of tokens, so that an inventory of thousands
// holds none of them. The zero value is not usable; see NewDigester.
type Digester struct {
	key []byte
}

// NewDigester makes a Digester with the given secret key.
func NewDigester(key []byte) *Digester { return &Digester{key: key} }

// Digest of a token's value. The digest of an empty value is the zero Digest.
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
