package plivo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
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
	var value any
	if len(raw) == 0 || json.Unmarshal(raw, &value) != nil {
		return ""
	}
	text := s.flatten(value, maxDepth)
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}

// maxDepth bounds how deep into an error body words are looked for.
const maxDepth = 8

// flatten makes one line of a JSON value. Each string in it is cleaned before
// punctuation is put around it, which would take long runs apart.
func (s *scrubber) flatten(value any, depth int) string {
	if depth == 0 {
		return "…"
	}
	var parts []string
	switch v := value.(type) {
	case nil:
	case string:
		return s.clean(v)
	case []any:
		for _, member := range v {
			parts = append(parts, s.flatten(member, depth-1))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, s.clean(key)+": "+s.flatten(v[key], depth-1))
		}
	default:
		return s.clean(fmt.Sprint(v))
	}
	return strings.Join(parts, ", ")
}

func (s *scrubber) clean(text string) string {
	text = s.replace.Replace(text)
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return long.ReplaceAllString(strings.Join(strings.Fields(text), " "), redacted)
}
