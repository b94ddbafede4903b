// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func wantNoLeak(t *testing.T, text string) {
	t.Helper()
	basic := mainID + ":" + mainToken
	for _, secret := range []string{
		mainToken, url.QueryEscape(mainToken), url.PathEscape(mainToken), fmt.Sprintf("%x", mainToken), fmt.Sprintf("%X", mainToken),
		fmt.Sprintf("% x", mainToken), strings.Trim(fmt.Sprint([]byte(mainToken)), "[]"),
		base64.StdEncoding.EncodeToString([]byte(basic)), base64.URLEncoding.EncodeToString([]byte(basic)),
		base64.RawStdEncoding.EncodeToString([]byte(basic)), base64.StdEncoding.EncodeToString([]byte(mainToken)),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("got a credential in %q", text)
		}
	}
}

type hidden struct {
	id      string
	token   Token
	pointer *Token
	list    []Token
	byName  map[string]Token
	any     any
}

func holders() map[string]any {
	token := NewToken(mainToken)
	h := hidden{id: "x", token: token, pointer: &token, list: []Token{token}, byName: map[string]Token{"a": token}, any: token}
	client := newInProcess(http.NotFoundHandler())
	return map[string]any{
		"token": token, "pointer": &token, "slice": []Token{token}, "map": map[string]*Token{"a": &token}, "key": map[Token]int{token: 1},
		"unexported": h, "pointer to unexported": &h, "slice of unexported": []hidden{h}, "client": client, "client's value": *client,
		"credentials": credentials, "pointer to credentials": &credentials, "created": Created{Token: token},
		"subaccount": &Subaccount{Token: token}, "page": Page{Subaccounts: []Subaccount{{Token: token}}}, "zero": Token{},
	}
}

func TestToken_AnyFormatting_ShowsNoValue(t *testing.T) {
	for name, holder := range holders() {
		if name == "client" || name == "client's value" {
			continue // a client cannot be encoded
		}
		t.Run(name, func(t *testing.T) {
			for verb := ' '; verb <= '~'; verb++ {
				for _, flags := range []string{"", "+", "#", " ", "-40", "040", ".3"} {
					wantNoLeak(t, fmt.Sprintf("%"+flags+string(verb), holder))
				}
			}
			wantNoLeak(t, fmt.Sprint(holder)+fmt.Sprintln(holder)+fmt.Errorf("%v: %w", holder, io.EOF).Error())
			if data, err := json.Marshal(holder); err == nil {
				wantNoLeak(t, string(data))
			}
			if data, err := yaml.Marshal(holder); err == nil {
				wantNoLeak(t, string(data))
			}
			var out bytes.Buffer
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).With("with", holder).Info("m", "it", holder, slog.Group("g", "it", holder))
			}
			write := func(prefix, args string) { out.WriteString(prefix + args) }
			funcr.New(write, funcr.Options{}).WithValues("with", holder).Info("m", "it", holder)
			funcr.NewJSON(func(line string) { out.WriteString(line) }, funcr.Options{}).Error(errors.New("e"), "m", "it", holder)
			if out.Len() == 0 {
				t.Error("got no log output, want some")
			}
			wantNoLeak(t, out.String())
		})
	}
}

func TestToken_AnyFormatting_ShowsRedacted(t *testing.T) {
	token := NewToken(mainToken)
	text, err := token.MarshalText()
	for _, got := range []string{string(text), token.String(), token.GoString(), fmt.Sprintf("%d", token), token.LogValue().String(), fmt.Sprint(token.MarshalLog())} {
		if got != redacted || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, redacted)
		}
	}
	if token.Reveal() != mainToken || (Token{}).Reveal() != "" || !NewToken("").IsZero() || token.IsZero() {
		t.Error("Reveal or IsZero: got a wrong result")
	}
	if !token.Equal(NewToken(mainToken)) || token.Equal(Token{}) || token.Equal(NewToken("x")) || !(Token{}).Equal(Token{}) {
		t.Error("Equal: got a wrong result")
	}
}

func TestDigest_Token_IsKeyedAndNotZero(t *testing.T) {
	a, b := NewDigester([]byte("a")), NewDigester([]byte("b"))
	if a.Digest([]byte("x")) != a.Digest([]byte("x")) || a.Digest([]byte("x")) == b.Digest([]byte("x")) || a.Digest([]byte("x")) == a.Digest([]byte("y")) {
		t.Error("got digests that do not depend on key and token alone")
	}
	if a.Digest(nil) != (Digest{}) || a.Digest([]byte("x")) == (Digest{}) {
		t.Error("got a zero digest for a token, or another one for no token")
	}
}

func TestCall_ServerReflectsCredentials_ErrorShowsNone(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 429, 500, 200, 307} {
		for _, five := range fiveCalls {
			sim, one := newSim()
			client := overHTTP(t, sim)
			sim.Inject(plivosim.Fault{Status: status, Body: plivosim.BodyReflect})
			err := five.call(t.Context(), client, one)
			if err == nil {
				t.Errorf("%s, %d: got no error, want one", five.op, status)
			}
			wantNoLeak(t, fmt.Sprintf("%v %+v %#v", err, err, AsError(err)))
		}
	}
}

// broken is a transport whose error repeats the request.
type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("cannot send %v with %s", r.Header, mainToken)
}

func TestCall_TransportError_ShowsNoCredentials(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "plivo.example", Path: "/" + mainToken}
	for _, five := range fiveCalls {
		err := five.call(t.Context(), NewClient(base, &http.Client{Transport: broken{}}, credentials, ""), absentID)
		e := wantKind(t, err, five.op, KindUnknown)
		if strings.Contains(e.Error(), "http") || strings.Contains(e.Error(), "example") {
			t.Errorf("got a URL in %q", e)
		}
	}
}

func TestScrubber_Message_ShowsNoCredentials(t *testing.T) {
	id, run := absentID, strings.Repeat("k", 24)
	cases := []struct{ name, body, want string }{
		{"plain message", `{"error": "name is required"}`, "name is required"},
		{"error comes before message", `{"message": "m", "error": "e"}`, "e"},
		{"error is null", `{"message": "m", "error": null}`, "m"},
		{"neither", `{"api_id": "x"}`, ""},
		{"auth ID", `{"error": "no ` + id + ` here"}`, "no " + id + " here"},
		{"23 characters", `{"error": "` + run[1:] + `"}`, run[1:]},
		{"24 characters", `{"error": "x ` + run + ` y"}`, "x " + redacted + " y"},
		{"short token", `{"error": "token ` + mainToken + `!"}`, "token " + redacted + "!"},
		{"nested", `{"error": {"code": 7, "messages": ["a", "b"], "ok": false}}`, "code: 7, messages: a, b, ok: false"},
		{"nested, long run with punctuation", `{"error": {"m": "` + "aaaa:bbbb,cccc:dddd,eeee[ffff" + `"}}`, "m: " + redacted},
		{"nested, an escaped token", `{"error": ["main\/token\u002bwith=signs"]}`, redacted},
		{"nested, as a key", `{"error": {"` + mainToken + `": 1}}`, redacted + ": 1"},
		{"control characters and lines", `{"error": "a\nb\u0000c\u202ed\te"}`, "a b c d e"},
		{"empty string", `{"error": "", "message": ""}`, ""},
		{"long", `{"error": "` + strings.Repeat("é ", 300) + `"}`, strings.Repeat("é ", 128) + "…"},
		{"not an object", `[]`, ""},
	}
	for _, c := range cases {
		if got := newScrubber(credentials).message([]byte(c.body)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := newScrubber(Credentials{}).message([]byte(`{"error": "stays"}`)); got != "stays" {
		t.Errorf("without credentials: got %q, want stays", got)
	}
}
