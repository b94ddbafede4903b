// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName is the largest number of characters in spec.name.
const maxName = 128

// These are the rules of spec.name in api/v1alpha1. The API server uses the regular
// expressions of Go too.
var (
	spaceAtEnds = regexp.MustCompile(`^[\s\p{Z}]|[\s\p{Z}]$`)
	notPlain    = regexp.MustCompile(`\p{Cc}|[^\P{Z} ]`)
)

// Refusal says why spec.name does not accept a name; empty if it does. It does not check
// whether the name is a marker.
func Refusal(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("it is longer than %d characters", maxName)
	case spaceAtEnds.MatchString(name):
		return "it begins or ends with white space"
	case notPlain.MatchString(name):
		return "it contains control or separator characters"
	default:
		return ""
	}
}

// maxResourceName is the largest length of a label, so that the name of a resource is
// also a valid label.
const maxResourceName = 63

// resourceNames returns a valid and unique name for each subaccount that is not taken. A
// name derives from the name at Plivo, and from the auth ID if that name is not unique.
// So it is the same in every export.
func resourceNames(remotes []Remote, taken map[string]bool) []string {
	counts := map[string]int{}
	for _, r := range remotes {
		counts[slug(r.Name)]++
	}
	used := map[string]bool{}
	names := make([]string, len(remotes))
	for i, r := range remotes {
		id, name := strings.ToLower(r.AuthID), slug(r.Name)
		if name == "" {
			name = id
		} else if counts[name] > 1 || taken[name] {
			name = cut(name, maxResourceName-len(id)-1) + "-" + id
		}
		// A subaccount may have the auth ID of another one as its name.
		for n := 0; taken[name] || used[name]; n++ {
			name = strings.TrimSuffix(fmt.Sprintf("%s-%d", id, n), "-0")
		}
		used[name] = true
		names[i] = name
	}
	return names
}

// slug returns a name with only the characters that the name of a resource may have. It
// may be empty.
func slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch r = unicode.ToLower(r); {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // the accent of the previous letter
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return cut(b.String(), maxResourceName)
}

// cut shortens a slug to size characters or less, so that it ends in a letter or digit.
func cut(slug string, size int) string {
	return strings.TrimRight(slug[:min(len(slug), size)], "-")
}
