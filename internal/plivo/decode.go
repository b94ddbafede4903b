// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// object is a subaccount in a response. Only auth_id, name and enabled have to be
// readable. The other fields may have any type.
type object struct {
	AuthID    json.RawMessage `json:"auth_id"`
	AuthToken json.RawMessage `json:"auth_token"`
	Name      json.RawMessage `json:"name"`
	Enabled   json.RawMessage `json:"enabled"`
	Created   json.RawMessage `json:"created"`
	Modified  json.RawMessage `json:"modified"`
}

var errUnreadable = errors.New("auth_id, name or enabled is missing or of another type")

// subaccount reads an object. If it fails, it still returns the AuthID if possible.
func (o object) subaccount() (Subaccount, error) {
	s := Subaccount{AuthID: optional(o.AuthID), Created: optional(o.Created), Modified: optional(o.Modified)}
	if token := optional(o.AuthToken); isUsableToken(token) {
		s.Token = NewToken(token)
	}
	var named, stated bool
	s.Name, named = text(o.Name)
	s.Enabled, stated = boolean(o.Enabled)
	if s.AuthID == "" || !named || !stated {
		return s, errUnreadable
	}
	return s, nil
}

// row reads one row of a list; position counts from 1. Its error names the row.
func row(raw json.RawMessage, position int) (Subaccount, error) {
	var o object
	err := json.Unmarshal(raw, &o)
	s := Subaccount{}
	if err == nil {
		s, err = o.subaccount()
	}
	switch {
	case err != nil && subaccountAuthID.MatchString(s.AuthID):
		return s, errors.New(s.AuthID)
	case err != nil:
		return s, fmt.Errorf("row %d", position)
	}
	if len(s.Token.Reveal()) < shortestToken {
		s.Token = Token{} // the list masks tokens
	}
	return s, nil
}

// shortestToken is shorter than every token (about 40 characters) and longer than the
// end of a token that a list may show instead.
const shortestToken = 20

// isUsableToken says whether a token is complete and not masked.
func isUsableToken(token string) bool {
	return token != "" && printable(token) && !strings.Contains(token, "*")
}

// optional returns a string, or an empty one for any other type.
func optional(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// text returns a string, empty for null, or the digits of a number.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	isScalar := len(raw) > 0 && raw[0] != '{' && raw[0] != '['
	return string(raw), isScalar
}

// boolean reads a bool, or a string or number that means one; null is false.
func boolean(raw json.RawMessage) (value, ok bool) {
	if string(raw) == "null" {
		return false, true
	}
	value, err := strconv.ParseBool(strings.ToLower(strings.Trim(string(raw), `"`)))
	return value, err == nil
}
