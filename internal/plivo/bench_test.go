// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkListPage decodes a page of twenty rows.
func BenchmarkListPage(b *testing.B) {
	rows := make([]string, 0, MaxPageSize)
	for i := range MaxPageSize {
		rows = append(rows, fmt.Sprintf(`{"account":"/v1/Account/MAXXXXXXXXXXXXXXXXXX/","auth_id":"SA%018d",`+
			`"auth_token":"%040d","created":"2026-01-01","enabled":true,"modified":null,"name":"The name of tenant %d",`+
			`"new_auth_token":"%040d","resource_uri":"/v1/Account/MAXXXXXXXXXXXXXXXXXX/Subaccount/SA%018d/"}`, i, i, i, i, i))
	}
	client := newInProcess(always(200, `{"api_id":"x","meta":{"limit":20,"next":null,"offset":0,"previous":null,"total_count":20},"objects":[`+strings.Join(rows, ",")+`]}`))
	b.ReportAllocs()
	for b.Loop() {
		page, err := client.List(b.Context(), MaxPageSize, 0)
		if err != nil || len(page.Subaccounts) != MaxPageSize {
			b.Fatal(err)
		}
	}
}
