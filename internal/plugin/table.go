// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// none is what kubectl prints for an empty value.
const none = "<none>"

// Table returns the list in the form in which kubectl prints tables.
func (l *RemoteList) Table() *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Auth ID", Type: "string"}, {Name: "Name", Type: "string"}, {Name: "Enabled", Type: "boolean"},
		{Name: "Created", Type: "string"}, {Name: "Modified", Type: "string"}, {Name: "Managed By", Type: "string"},
		{Name: "Ready", Type: "string", Priority: 1}, {Name: "Reason", Type: "string", Priority: 1},
	}}
	for _, r := range l.Items {
		m, by := Manager{}, ""
		if r.ManagedBy != nil {
			m, by = *r.ManagedBy, r.ManagedBy.Namespace+"/"+r.ManagedBy.Name
		}
		row := metav1.TableRow{Cells: []any{cell(r.AuthID), cell(r.Name), r.Enabled}}
		for _, text := range []string{r.Created, r.Modified, by, m.Ready, m.Reason} {
			row.Cells = append(row.Cells, cell(text))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// cell makes a text safe for a terminal. Tenants choose the names of subaccounts.
func cell(text string) string {
	return cmp.Or(shorten(Printable(text)), none)
}

// Printable escapes characters that are not printable, as Go literals do. They could
// move the cursor, or hide or reverse other text.
func Printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// shorten cuts a text to the largest length of spec.name.
func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxName {
		return text
	}
	return fmt.Sprintf("%s…", string([]rune(text)[:maxName]))
}
