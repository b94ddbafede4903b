// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxMessage limits the length of Plivo's error message, in runes.
const maxMessage = 256

// long matches a run of characters that may be a token: every token is at least this
// long, but hardly a word of a message. An auth ID has 20 characters and does not match.
var long = regexp.MustCompile(`[^\s]{24,}`)

// scrubber extracts the message of an error body and removes everything that could be
// a credential: a server may repeat the request in its error.
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

// message returns the limited, scrubbed message of an error body. It is the member
// "error", a string or a nested object, or else "message".
func (s *scrubber) message(body []byte) string {
	var response map[string]json.RawMessage
	if json.Unmarshal(body, &response) != nil {
		return ""
	}
	for _, member := range []string{"error", "message"} {
		if text := s.text(response[member]); text != "" {
			return text
		}
	}
	return ""
}

func (s *scrubber) text(raw json.RawMessage) string {
	var value any
	if len(raw) == 0 || json.Unmarshal(raw, &value) != nil {
		return ""
	}
	return truncate(s.flatten(value, maxDepth), maxMessage)
}

// maxDepth limits how deep flatten reads an error body.
const maxDepth = 8

// flatten returns a JSON value as one line. It cleans each string before it adds
// punctuation, because punctuation would divide a long run.
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
	return long.ReplaceAllString(oneLine(s.replace.Replace(text)), redacted)
}
