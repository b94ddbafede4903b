// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

func TestReadAll_UnreadableRow_IsReportedAndSkipped(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"meta": {"total_count": 2}, "objects": [{"auth_id": 7},
			{"auth_id": "SAZZZZZZZZZZZZZZZZZZ", "name": 7, "enabled": "true", "created": "2026-01-01", "modified": 7}]}`)
	})
	client := plivo.NewClient(&url.URL{Scheme: "https", Host: "plivo.test"}, &http.Client{Transport: inprocess.Transport{Handler: handler}},
		plivo.Credentials{AuthID: "MAAAAAAAAAAAAAAAAAAA", Token: plivo.NewToken("token")}, "test")
	var notices strings.Builder
	remotes, err := ReadAll(t.Context(), client, &notices, func(int, int) {})
	want := Remote{AuthID: "SAZZZZZZZZZZZZZZZZZZ", Name: "7", Enabled: true, Created: "2026-01-01"}
	if err != nil || len(remotes) != 1 || remotes[0] != want {
		t.Errorf("got %+v, %v; want %+v", remotes, err, want)
	}
	if got := notices.String(); got != "Skipped a subaccount that cannot be read: row 1.\n" {
		t.Errorf("got the notices %q, want the skipped row", got)
	}
}
