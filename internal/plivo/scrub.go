package plivo

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// maxMessage bounds what is shown of Plivo's own words, in runes.
const maxMessage = 256

// long is a run that no word of a message is as long as, and every token is.
// An auth ID has 20 characters and is let through.
var long = regexp.MustCompile(`[^\s]{24,}`)

// scrubber takes Plivo's words out of an error body, and whatever could be a
// credential out of them: a server may reflect what it was sent.
type scrubber struct {
	replace *strings.Replacer
}

func newScrubber(c Credentials) *scrubber {
	token := c.Token.Reveal()
	if token == "" {
		return &scrubber{replace: strings.NewReplacer()}
	}
	return &scrubber{replace: strings.NewReplacer(
		token, redacted,
		base64.StdEncoding.EncodeToString([]byte(c.AuthID+":"+token)), redacted,
	)}
}

// message returns the bounded, scrubbed words of an error body: the member
// "error", a string or a nested object, else "message".
func (s *scrubber) message(body []byte) string {
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	for _, member := range []string{"error", "message"} {
		if words := s.words(answer[member]); words != "" {
			return words
		}
	}
	return ""
}

func (s *scrubber) words(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if json.Unmarshal(raw, &text) != nil {
		text = strings.NewReplacer(`"`, "", "{", "", "}", "", "[", "", "]", "", ",", ", ", ":", ": ").Replace(string(raw))
	}
	text = s.replace.Replace(text)
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = long.ReplaceAllString(strings.Join(strings.Fields(text), " "), redacted)
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}
