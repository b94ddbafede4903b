// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const goodPage = `{"meta": {"total_count": 1}, "objects": [` + goodRow + `]}`

// ofSize returns a JSON object of the given size that is a valid response to a create,
// get and list.
func ofSize(bytes int) string {
	head, tail := strings.TrimSuffix(goodRow, "}")+`, "meta": {"total_count": 1}, "objects": [`+goodRow+`], "message": "`, `"}`
	return head + strings.Repeat("no. ", bytes/4)[:bytes-len(head)-len(tail)] + tail
}

func nested(opening, closing string, levels int) string {
	return `{"error": ` + strings.Repeat(opening, levels) + "1" + strings.Repeat(closing, levels) + `}`
}

// hostileBodies are not valid responses to any call but update. For an update, any JSON
// object without an error is success. A body that is a JSON object (object) makes a
// refusal definite.
var hostileBodies = []struct {
	name, body string
	object     bool
}{
	{"half a row", goodRow[:len(goodRow)/2], false},
	{"row without its last byte", goodRow[:len(goodRow)-1], false},
	{"page without its last byte", goodPage[:len(goodPage)-1], false},
	{"error cut within an escape", `{"error": "\u00`, false},
	{"one byte over the limit", ofSize(maxBody + 1), false},
	{"object up to the limit, one more byte", ofSize(maxBody) + "}", false},
	{"white space up to the limit, then an object", strings.Repeat(" ", maxBody) + goodRow, false},
	{"arrays 100,000 deep", nested("[", "]", 100_000), false},
	{"objects 100,000 deep", nested(`{"a":`, "}", 100_000), false},
	{"100,000 arrays without an end", strings.Repeat("[", 100_000), false},
	{"arrays at the decoder's limit", nested("[", "]", 9_998), true},
	{"numbers for strings", `{"auth_id": 1, "auth_token": 2, "name": 3, "meta": 4, "objects": 5, "error": 6}`, true},
	{"objects for strings", `{"auth_id": {}, "auth_token": {}, "name": {}, "meta": [], "objects": {}, "error": {}}`, true},
	{"null everywhere", `{"auth_id": null, "auth_token": null, "meta": null, "objects": null, "error": null}`, true},
	{"count above every integer", `{"meta": {"total_count": 1e999}, "objects": []}`, true},
	{"count with a fraction", `{"meta": {"total_count": 0.5}, "objects": []}`, true},
	{"negative count", `{"meta": {"total_count": -1}, "objects": []}`, true},
	{"invalid UTF-8", "\xff\xfe{\x00}\x00", false},
	{"invalid UTF-8 in the auth_id", strings.Replace(goodRow, "SAZ", "SA\xff", 1), true},
	{"invalid UTF-8 in an error", "{\"error\": \"n\xffo\xc3\"}", true},
	{"second, empty auth_id", `{"auth_id": "` + absentID + `", "auth_token": "t", "auth_id": ""}`, true},
	{"second, empty token", `{"auth_id": "` + absentID + `", "auth_token": "t", "auth_token": ""}`, true},
	{"second, null objects", strings.TrimSuffix(goodPage, "}") + `, "objects": null}`, true},
	{"two errors", `{"error": "no", "error": {"code": [1, 2, {"a": null}]}}`, true},
	{"NUL after a row", goodRow + "\x00", false},
	{"NUL before a page", "\x00" + goodPage, false},
	{"NUL in a string", strings.Replace(goodRow, "SAZ", "SA\x00", 1), false},
	{"NUL, escaped, in the auth_id", strings.Replace(goodRow, "SAZ", `SA\u0000`, 1), true},
	{"control characters in an error", `{"error": "a\u0000b\r\nc\u001b[31md\u202ee\u2028f\ud800g"}`, true},
	{"control characters in the names of an error", `{"error": {"\u0000\n\u202e": "\u0007"}}`, true},
	{"error of 1,000 words", `{"error": "` + strings.Repeat("word ", 1_000) + `"}`, true},
}

// No body causes a panic, a success of another call than update, a definite refusal
// without a JSON object, or a message that is not safe to show.
func TestCall_HostileBody_IsHandledSafely(t *testing.T) {
	for _, hostile := range hostileBodies {
		t.Run(hostile.name, func(t *testing.T) {
			for _, status := range []int{200, 201, 202, 400, 401, 403, 404, 405, 408, 429, 500, 503} {
				client := newInProcess(always(status, hostile.body))
				for _, five := range fiveCalls {
					e := AsError(five.call(t.Context(), client, absentID))
					hasNoError := !strings.Contains(hostile.body, `"error"`) || strings.Contains(hostile.body, `"error": null`)
					if success := five.op == OperationUpdate && status == 202 && hostile.object && hasNoError; success != (e == nil) {
						t.Fatalf("%s, %d: got %v, want success %v", five.op, status, e, success)
					}
					if e == nil {
						continue
					}
					want := KindUnknown
					if hostile.object {
						want, _ = definiteKind(status)
					}
					if e.Kind != want {
						t.Errorf("%s, %d: got %s, want %s", five.op, status, e.Kind, want)
					}
					wantFitToShow(t, e)
				}
			}
		})
	}
}

// The limit is exact: a body of the largest size counts, and one more byte makes the
// outcome unknown.
func TestCall_BodyAboveLimit_IsUnknown(t *testing.T) {
	for _, five := range fiveCalls {
		status := 200
		if five.op == OperationDelete { // its success has no body
			status = 404
		}
		for size, whole := range map[int]bool{maxBody: true, maxBody + 1: false} {
			body := ofSize(size)
			if len(body) != size {
				t.Fatalf("got a body of %d bytes, want %d", len(body), size)
			}
			e := AsError(five.call(t.Context(), newInProcess(always(status, body)), absentID))
			if read := e == nil || e.Kind == KindNotFound; read != whole {
				t.Errorf("%s, %d bytes: got %v, want read %v", five.op, size, e, whole)
			}
			e = AsError(five.call(t.Context(), newInProcess(always(400, body)), absentID))
			if e.IsDefinite() != whole {
				t.Errorf("%s, refused in %d bytes: got %v, want definite %v", five.op, size, e, whole)
			}
			wantFitToShow(t, e)
		}
	}
}

// wantFitToShow checks that the message of an error is limited and printable.
func wantFitToShow(t *testing.T, e *Error) {
	t.Helper()
	printable := !strings.ContainsFunc(e.Message, func(r rune) bool { return !unicode.IsPrint(r) })
	if e.Message == "" || !printable || !utf8.ValidString(e.Error()) || utf8.RuneCountInString(e.Message) > maxMessage+1 {
		t.Errorf("%s, %d: got message %.300q, want a short, printable one", e.Operation, e.Status, e.Message)
	}
}

// FuzzAnswers: no response causes a panic, a success without a subaccount, or a
// definite refusal without a JSON object.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `null`, goodRow, goodPage,
		`{"error": {"a": [1, {"b": null}]}}`, `{"auth_id": "", "auth_token": ""}`, `{"objects": [{}], "meta": {"total_count": 1}}`,
		`{"AUTH_ID": "SAZZZZZZZZZZZZZZZZZZ", "auth_token": "t", "enabled": "TRUE"}`,
	} {
		for _, status := range []int{200, 201, 204, 400, 404, 500} {
			f.Add(status, body)
		}
	}
	for _, hostile := range hostileBodies {
		f.Add(200, hostile.body)
		f.Add(404, hostile.body)
	}
	f.Add(200, ofSize(maxBody))
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 999 {
			return
		}
		client := newInProcess(always(status, body))
		created, err := client.Create(t.Context(), "n", false)
		if isUsable := subaccountAuthID.MatchString(created.AuthID) && !created.Token.IsZero(); err == nil && !isUsable {
			t.Errorf("got success with auth ID %q, want an error", created.AuthID)
		}
		got, err := client.Get(t.Context(), absentID)
		if isUsable := got.AuthID == absentID && !got.Token.IsZero(); err == nil && !isUsable {
			t.Errorf("got success with auth ID %q, want an error", got.AuthID)
		}
		if page, err := client.List(t.Context(), 3, 0); err == nil {
			if page.Total < 0 || len(page.Subaccounts) > 3 {
				t.Errorf("got a page of %d rows, total %d; want at most 3 rows", len(page.Subaccounts), page.Total)
			}
			for _, s := range page.Subaccounts {
				if s.AuthID == "" {
					t.Error("got a row without auth_id")
				}
			}
		}
		for _, five := range fiveCalls {
			e := AsError(five.call(t.Context(), client, absentID))
			if e == nil {
				if status >= 300 {
					t.Errorf("%s: got success for %d", five.op, status)
				}
				continue
			}
			_, definite := definiteKind(status)
			if mayBeDefinite := definite && strings.Contains(body, "{"); e.IsDefinite() && !mayBeDefinite {
				t.Errorf("%s: got a definite refusal for %d %q", five.op, status, body)
			}
			wantFitToShow(t, e)
		}
	})
}
