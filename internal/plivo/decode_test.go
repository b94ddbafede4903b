// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"strings"
	"testing"
)

const longToken = "0123456789012345678901234567890123456789"

func TestList_UnreadableRow_IsSkippedAndNamed(t *testing.T) {
	good := `{"auth_id": "SAGOODGOODGOODGOODGO", "auth_token": "` + longToken + `", "name": "n", "enabled": true}`
	cases := []struct {
		name, row string
		want      string // name and enabled; empty: the row is skipped
		skipped   string // name of the skipped row
	}{
		{name: "as documented", row: `{"auth_id": "SAZ", "name": "n", "enabled": true}`, want: "n true"},
		{name: "number for name", row: `{"auth_id": "SAZ", "name": 12345678901234567890, "enabled": true}`, want: "12345678901234567890 true"},
		{name: "bool for name", row: `{"auth_id": "SAZ", "name": true, "enabled": true}`, want: "true true"},
		{name: "string for bool", row: `{"auth_id": "SAZ", "name": "n", "enabled": "true"}`, want: "n true"},
		{name: "capitalized string for bool", row: `{"auth_id": "SAZ", "name": "n", "enabled": "False"}`, want: "n false"},
		{name: "number in a string for bool", row: `{"auth_id": "SAZ", "name": "n", "enabled": "1"}`, want: "n true"},
		{name: "number for bool", row: `{"auth_id": "SAZ", "name": "n", "enabled": 0}`, want: "n false"},
		{name: "null for bool", row: `{"auth_id": "SAZ", "name": "n", "enabled": null}`, want: "n false"},
		{name: "other types in ignored fields", row: `{"auth_id": "SAZ", "name": "n", "enabled": true, "created": 20260101, "modified": {},
			"account": 7, "new_auth_token": [], "resource_uri": false}`, want: "n true"},
		{name: "token of another type", row: `{"auth_id": "SAZ", "name": "n", "enabled": true, "auth_token": 7}`, want: "n true"},
		{name: "no auth_id", row: `{"name": "n", "enabled": true}`, skipped: "row 42"},
		{name: "empty auth_id", row: `{"auth_id": "", "name": "n", "enabled": true}`, skipped: "row 42"},
		{name: "number for auth_id", row: `{"auth_id": 7, "name": "n", "enabled": true}`, skipped: "row 42"},
		{name: "object for name", row: `{"auth_id": "` + absentID + `", "name": {}, "enabled": true}`, skipped: absentID},
		{name: "no name", row: `{"auth_id": "` + absentID + `", "enabled": true}`, skipped: absentID},
		{name: "no enabled", row: `{"auth_id": "` + absentID + `", "name": "n"}`, skipped: absentID},
		{name: "word for bool", row: `{"auth_id": "` + absentID + `", "name": "n", "enabled": "perhaps"}`, skipped: absentID},
		{name: "unreadable row with an invalid auth_id", row: `{"auth_id": "<b>", "name": []}`, skipped: "row 42"},
		{name: "null", row: `null`, skipped: "row 42"},
		{name: "an array", row: `[]`, skipped: "row 42"},
		{name: "a number", row: `7`, skipped: "row 42"},
	}
	for _, c := range cases {
		body := `{"meta": {"total_count": 3}, "objects": [` + good + "," + c.row + "," + good + `]}`
		page, err := newInProcess(always(200, body)).List(t.Context(), MaxPageSize, 40)
		if err != nil {
			t.Errorf("%s: got %v, want no error", c.name, err)
			continue
		}
		got := ""
		if len(page.Subaccounts) == 3 {
			s := page.Subaccounts[1]
			got = s.Name + map[bool]string{true: " true", false: " false"}[s.Enabled]
		}
		if got != c.want || strings.Join(page.Skipped, " ") != c.skipped || page.rows() != 3 {
			t.Errorf("%s: got %q, skipped %q; want %q, %q", c.name, got, page.Skipped, c.want, c.skipped)
		}
	}
}

func TestList_MaskedToken_IsIgnored(t *testing.T) {
	for token, want := range map[string]bool{
		`"` + longToken + `"`: true, `"***********************************abcd"`: false, `"abcd"`: false, `""`: false, `null`: false,
		`"••••••••••••••••••••••••"`: false, `7`: false, `"0123 01234567890123456789"`: false,
	} {
		body := `{"meta": {"total_count": 1}, "objects": [{"auth_id": "SAZ", "name": "n", "enabled": true, "auth_token": ` + token + `}]}`
		page, err := newInProcess(always(200, body)).List(t.Context(), MaxPageSize, 0)
		if err != nil || len(page.Subaccounts) != 1 || page.Subaccounts[0].Token.IsZero() == want {
			t.Errorf("%s: got %v, %v; want a token %v", token, page, err, want)
		}
	}
}

func TestDecode_2xxWithError_IsUnknownWithPlivosMessage(t *testing.T) {
	for _, five := range fiveCalls {
		for _, status := range []int{200, 201, 202} {
			e := wantKind(t, five.call(t.Context(), newInProcess(always(status, `{"api_id": "x", "error": "not `+mainToken+` today"}`)), absentID), five.op, KindUnknown)
			if e.Status != status || e.Message != "not "+redacted+" today" {
				t.Errorf("%s, %d: got %+v, want the redacted message", five.op, status, e)
			}
		}
	}
}
