package plugin

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName is how many characters spec.name takes.
const maxName = 128

// These are the rules of spec.name in api/v1alpha1; the API server's regular
// expressions are Go's.
var (
	spaceAtEnds = regexp.MustCompile(`^[\s\p{Z}]|[\s\p{Z}]$`)
	notPlain    = regexp.MustCompile(`\p{Cc}|[^\P{Z} ]`)
)

// Refusal says why spec.name does not take a name, other than that it is a
// marker; empty: it does.
func Refusal(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("it is longer than %d characters", maxName)
	case spaceAtEnds.MatchString(name):
		return "it begins or ends with white space"
	case notPlain.MatchString(name):
		return "it holds control or separator characters"
	default:
		return ""
	}
}

// maxResourceName keeps a resource's name usable as a label, too.
const maxResourceName = 63

// resourceNames gives each subaccount a valid name that no other has and that
// is not taken. It comes from the name at Plivo, and stays the same from one
// export to the next: where that is not unique, the auth ID makes it so.
func resourceNames(remotes []Remote, taken map[string]bool) []string {
	bearers := map[string]int{}
	for _, r := range remotes {
		bearers[slug(r.Name)]++
	}
	used := map[string]bool{}
	names := make([]string, len(remotes))
	for i, r := range remotes {
		id, name := strings.ToLower(r.AuthID), slug(r.Name)
		if name == "" {
			name = id
		} else if bearers[name] > 1 || taken[name] {
			name = cut(name, maxResourceName-len(id)-1) + "-" + id
		}
		// Somebody may have named a subaccount after another's ID.
		for n := 0; taken[name] || used[name]; n++ {
			name = strings.TrimSuffix(fmt.Sprintf("%s-%d", id, n), "-0")
		}
		used[name] = true
		names[i] = name
	}
	return names
}

// slug makes of a name what a resource's name may hold, empty if that is nothing.
func slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch r = unicode.ToLower(r); {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return cut(b.String(), maxResourceName)
}

// cut to so many characters, ending in a letter or digit.
func cut(slug string, size int) string {
	return strings.TrimRight(slug[:min(len(slug), size)], "-")
}
