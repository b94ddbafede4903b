package plivo

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzAnswers: whatever a server says, no call panics, succeeds with something
// that is not a subaccount, or takes for definite what is not.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `null`, goodRow, `{"meta": {"total_count": 1}, "objects": [` + goodRow + `]}`,
		`{"error": {"a": [1, {"b": null}]}}`, `{"auth_id": "", "auth_token": ""}`, `{"objects": [{}], "meta": {"total_count": 1}}`,
		`{"AUTH_ID": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t", "enabled": "TRUE"}`, "{\"error\": \"\xff\"}",
	} {
		for _, status := range []int{200, 201, 204, 400, 404, 500} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 999 {
			return
		}
		client := newInProcess(always(status, body))
		created, err := client.Create(t.Context(), "n", false)
		if err == nil && (!subaccountAuthID.MatchString(created.AuthID) || created.Token.IsZero()) {
			t.Errorf("created %q", created.AuthID)
		}
		if got, err := client.Get(t.Context(), absentID); err == nil && (got.AuthID != absentID || got.Token.IsZero()) {
			t.Errorf("got %q", got.AuthID)
		}
		if page, err := client.List(t.Context(), 3, 0); err == nil {
			if page.Total < 0 || len(page.Subaccounts) > 3 {
				t.Errorf("a page of %d of %d", len(page.Subaccounts), page.Total)
			}
			for _, s := range page.Subaccounts {
				if s.AuthID == "" {
					t.Error("a row without auth_id")
				}
			}
		}
		for _, five := range fiveCalls {
			e := AsError(five.call(t.Context(), client, absentID))
			if e == nil {
				if status >= 300 {
					t.Errorf("%s: %d is success", five.op, status)
				}
				continue
			}
			_, known := definiteKinds[status]
			if e.Definite() && (!known || !strings.Contains(body, "{")) {
				t.Errorf("%s: %d %q is definite", five.op, status, body)
			}
			if !utf8.ValidString(e.Error()) || utf8.RuneCountInString(e.Message) > maxMessage+1 || strings.ContainsAny(e.Message, "\r\n\x00") {
				t.Errorf("message %q", e.Message)
			}
		}
	})
}
