package plivo

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const goodPage = `{"meta": {"total_count": 1}, "objects": [` + goodRow + `]}`

// ofSize is a JSON object of exactly so many bytes that every call but an update
// could take for what it waits for.
func ofSize(bytes int) string {
	head, tail := strings.TrimSuffix(goodRow, "}")+`, "meta": {"total_count": 1}, "objects": [`+goodRow+`], "message": "`, `"}`
	return head + strings.Repeat("no. ", bytes/4)[:bytes-len(head)-len(tail)] + tail
}

func nested(opening, closing string, levels int) string {
	return `{"error": ` + strings.Repeat(opening, levels) + "1" + strings.Repeat(closing, levels) + `}`
}

// hostileBodies are no answer to any call but perhaps an update, whose success
// is a 202 with any JSON object that holds no error. object: it is one, so that a
// refusal may be definite.
var hostileBodies = []struct {
	name, body string
	object     bool
}{
	{"a row cut in two", goodRow[:len(goodRow)/2], false},
	{"a row without its last byte", goodRow[:len(goodRow)-1], false},
	{"a page without its last byte", goodPage[:len(goodPage)-1], false},
	{"an error cut within an escape", `{"error": "\u00`, false},
	{"one byte over the limit", ofSize(maxBody + 1), false},
	{"an object up to the limit, and one byte more", ofSize(maxBody) + "}", false},
	{"white space up to the limit, then an object", strings.Repeat(" ", maxBody) + goodRow, false},
	{"arrays 100,000 deep", nested("[", "]", 100_000), false},
	{"objects 100,000 deep", nested(`{"a":`, "}", 100_000), false},
	{"100,000 arrays that never end", strings.Repeat("[", 100_000), false},
	{"arrays as deep as the decoder goes", nested("[", "]", 9_998), true},
	{"numbers for strings", `{"auth_id": 1, "auth_token": 2, "name": 3, "meta": 4, "objects": 5, "error": 6}`, true},
	{"objects for strings", `{"auth_id": {}, "auth_token": {}, "name": {}, "meta": [], "objects": {}, "error": {}}`, true},
	{"null everywhere", `{"auth_id": null, "auth_token": null, "meta": null, "objects": null, "error": null}`, true},
	{"a count that no integer holds", `{"meta": {"total_count": 1e999}, "objects": []}`, true},
	{"a count with a fraction", `{"meta": {"total_count": 0.5}, "objects": []}`, true},
	{"a negative count", `{"meta": {"total_count": -1}, "objects": []}`, true},
	{"invalid UTF-8 for a body", "\xff\xfe{\x00}\x00", false},
	{"invalid UTF-8 in the auth_id", strings.Replace(goodRow, "SAZ", "SA\xff", 1), true},
	{"invalid UTF-8 in an error", "{\"error\": \"n\xffo\xc3\"}", true},
	{"an auth_id that is taken back", `{"auth_id": "` + absentID + `", "auth_token": "t", "auth_id": ""}`, true},
	{"a token that is taken back", `{"auth_id": "` + absentID + `", "auth_token": "t", "auth_token": ""}`, true},
	{"a page that is taken back", strings.TrimSuffix(goodPage, "}") + `, "objects": null}`, true},
	{"an error said twice", `{"error": "no", "error": {"code": [1, 2, {"a": null}]}}`, true},
	{"NUL after a row", goodRow + "\x00", false},
	{"NUL before a page", "\x00" + goodPage, false},
	{"NUL in a string", strings.Replace(goodRow, "SAZ", "SA\x00", 1), false},
	{"NUL, escaped, in the auth_id", strings.Replace(goodRow, "SAZ", `SA\u0000`, 1), true},
	{"control characters in an error", `{"error": "a\u0000b\r\nc\u001b[31md\u202ee\u2028f\ud800g"}`, true},
	{"control characters in the names of an error", `{"error": {"\u0000\n\u202e": "\u0007"}}`, true},
	{"an error of 1,000 words", `{"error": "` + strings.Repeat("word ", 1_000) + `"}`, true},
}

// Whatever a body is: no panic, no success but that of an update, nothing
// definite that may not be, and words that are fit to be shown.
func TestHostileBodies(t *testing.T) {
	for _, hostile := range hostileBodies {
		t.Run(hostile.name, func(t *testing.T) {
			for _, status := range []int{200, 201, 202, 400, 401, 403, 404, 405, 408, 429, 500, 503} {
				client := newInProcess(always(status, hostile.body))
				for _, five := range fiveCalls {
					e := AsError(five.call(t.Context(), client, absentID))
					holdsNoError := !strings.Contains(hostile.body, `"error"`) || strings.Contains(hostile.body, `"error": null`)
					if success := five.op == OperationUpdate && status == 202 && hostile.object && holdsNoError; success != (e == nil) {
						t.Fatalf("%s, %d: %v", five.op, status, e)
					}
					if e == nil {
						continue
					}
					want := KindUnknown
					if hostile.object {
						want, _ = definiteKind(status)
					}
					if e.Kind != want {
						t.Errorf("%s, %d: %s, want %s", five.op, status, e.Kind, want)
					}
					wantFitToShow(t, e)
				}
			}
		})
	}
}

// The bound is exact: what the last byte completes counts, and one byte more
// makes the same words mean nothing.
func TestBodiesAreReadUpToTheLimit(t *testing.T) {
	for _, five := range fiveCalls {
		status := 200
		if five.op == OperationDelete { // whose success has no body
			status = 404
		}
		for size, whole := range map[int]bool{maxBody: true, maxBody + 1: false} {
			body := ofSize(size)
			if len(body) != size {
				t.Fatal(len(body))
			}
			e := AsError(five.call(t.Context(), newInProcess(always(status, body)), absentID))
			if read := e == nil || e.Kind == KindNotFound; read != whole {
				t.Errorf("%s, %d bytes: %v", five.op, size, e)
			}
			e = AsError(five.call(t.Context(), newInProcess(always(400, body)), absentID))
			if e.IsDefinite() != whole {
				t.Errorf("%s, refused in %d bytes: %v", five.op, size, e)
			}
			wantFitToShow(t, e)
		}
	}
}

// wantFitToShow: the words of an error are bounded and printable.
func wantFitToShow(t *testing.T, e *Error) {
	t.Helper()
	printable := !strings.ContainsFunc(e.Message, func(r rune) bool { return !unicode.IsPrint(r) })
	if e.Message == "" || !printable || !utf8.ValidString(e.Error()) || utf8.RuneCountInString(e.Message) > maxMessage+1 {
		t.Errorf("%s, %d: message %.300q", e.Operation, e.Status, e.Message)
	}
}

// FuzzAnswers: whatever a server says, no call panics, succeeds with something
// that is not a subaccount, or takes for definite what is not.
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
			_, definite := definiteKind(status)
			if e.IsDefinite() && (!definite || !strings.Contains(body, "{")) {
				t.Errorf("%s: %d %q is definite", five.op, status, body)
			}
			wantFitToShow(t, e)
		}
	})
}
