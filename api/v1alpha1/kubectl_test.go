// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

func kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return plane.RunKubectl(t.Context(), "", args...)
}

func TestKinds_NamesAndShortNames_AreServed(t *testing.T) {
	resources, err := discovery.NewDiscoveryClientForConfigOrDie(plane.Config).ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]metav1.APIResource{
		"subaccounts":        {Kind: "Subaccount", SingularName: "subaccount", Namespaced: true, ShortNames: []string{"plivosub"}, Categories: []string{"plivo"}},
		"accounts":           {Kind: "Account", SingularName: "account", Namespaced: false, ShortNames: []string{"plivoacct"}, Categories: []string{"plivo"}},
		"subaccounts/status": {Kind: "Subaccount", Namespaced: true},
		"accounts/status":    {Kind: "Account", Namespaced: false},
	}
	for _, got := range resources.APIResources {
		want, ok := want[got.Name]
		if !ok {
			t.Errorf("got the resource %s, want it not served", got.Name)
		}
		if got.Kind != want.Kind || got.SingularName != want.SingularName || got.Namespaced != want.Namespaced ||
			!slices.Equal(got.ShortNames, want.ShortNames) || !slices.Equal(got.Categories, want.Categories) {
			t.Errorf("%s: got %+v, want %+v", got.Name, got, want)
		}
	}
	if len(resources.APIResources) != len(want) {
		t.Errorf("got %d resources, want %d", len(resources.APIResources), len(want))
	}
}

func TestKubectlExplain_Fields_HaveDescriptions(t *testing.T) {
	for path, want := range map[string][]string{
		"subaccount.spec":             {"accountRef", "Immutable.", "If omitted, defaults to false", "Required unless authID is set", "If omitted, defaults to Reassign."},
		"subaccount.spec.accountRef":  {"name is the name of the Account. If omitted, defaults to default."},
		"subaccount.spec.secret":      {"<metadata.name>-plivo", "reserved"},
		"subaccount.spec.secret.keys": {"envFrom", "If omitted, defaults to auth_id.", "If omitted, defaults to auth_token."},
		"subaccount.status":           {"pendingCreation", "Set by the operator; read-only.", "-1 before the first one"},
		"account.spec": {"credentialsSecretRef\t<Object> -required-", "namespaceSelector\t<Object> -required-", "{} selects all namespaces", "defaults to 5m",
			"defaults to 150", "If omitted, no Subaccount may adopt"},
		"account.spec.adoption": {"including its token"},
	} {
		t.Run(path, func(t *testing.T) {
			var out string
			// The API server publishes the documentation of a new kind after the kind.
			err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
				var err error
				out, err = kubectl(t, "explain", path)
				return err == nil, nil
			})
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			text := strings.Join(strings.FieldsFunc(out, func(r rune) bool { return r == ' ' || r == '\n' }), " ")
			for _, words := range want {
				if !strings.Contains(text, words) {
					t.Errorf("got no %q in:\n%s", words, out)
				}
			}
		})
	}
}

func TestKubectlGet_Kinds_ShowTheColumns(t *testing.T) {
	conditions := func(status, reason string) string {
		return "conditions: [{type: Ready, status: '" + status + "', reason: " + reason + ", message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]"
	}
	for _, object := range []struct{ kind, text, status string }{
		{"Subaccount", "metadata: {name: columns-ready, labels: {test: columns}}\nspec: {name: a}",
			"{authID: " + subaccountA + ", enabled: true, name: at-plivo, binding: {name: its-secret}, " + conditions("True", "Ready") + "}"},
		{"Subaccount", "metadata: {name: columns-new, labels: {test: columns}}\nspec: {name: a, accountRef: {name: eu}}", "{}"},
		{"Account", "metadata: {name: columns, labels: {test: columns}}\n" + account(""),
			"{authID: " + mainA + ", subaccounts: {total: 3, managed: 2, unmanaged: 1}, " + conditions("False", "CredentialsRejected") + "}"},
	} {
		if err := server.Status().Update(t.Context(), withStatus(t, create(t, object.kind, object.text), object.status)); err != nil {
			t.Fatal(err)
		}
	}
	// AGE is the only column whose content varies.
	subaccounts := []string{
		"NAME | READY | AUTH ID | ENABLED | ACCOUNT | REASON | AGE",
		"columns-new | | | | eu | | age",
		"columns-ready | True | " + subaccountA + " | true | default | Ready | age",
	}
	accounts := []string{
		"NAME | READY | AUTH ID | SUBACCOUNTS | MANAGED | REASON | AGE",
		"columns | False | " + mainA + " | 3 | 2 | CredentialsRejected | age",
	}
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"plivosub"}, subaccounts},
		{[]string{"plivosub", "-o", "wide"}, []string{
			subaccounts[0] + " | REMOTE NAME | SECRET",
			subaccounts[1] + " | |",
			subaccounts[2] + " | at-plivo | its-secret",
		}},
		{[]string{"plivoacct"}, accounts},
		{[]string{"plivo"}, []string{
			accounts[0], "account.plivo.subaccount-operator.dev/" + accounts[1],
			subaccounts[0], "subaccount.plivo.subaccount-operator.dev/" + subaccounts[1], "subaccount.plivo.subaccount-operator.dev/" + subaccounts[2],
		}},
	} {
		t.Run("get "+strings.Join(test.args, " "), func(t *testing.T) {
			out, err := kubectl(t, append([]string{"get", "--selector", "test=columns"}, test.args...)...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := table(out); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
	t.Run("get all does not reach them", func(t *testing.T) {
		out, err := kubectl(t, "get", "all", "--all-namespaces", "-o", "name")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(out, "service/kubernetes") || strings.Contains(out, "plivo") {
			t.Errorf("got %q, want only the kubernetes Service", out)
		}
	})
}

var (
	columnPattern = regexp.MustCompile(`\S+( \S+)*`)
	agePattern    = regexp.MustCompile(`^[0-9]+s$`)
)

// table returns kubectl's output with a bar between the columns and a constant
// age.
func table(out string) []string {
	var rows []string
	var columns [][]int // where each begins and ends in the header
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "NAME ") {
			columns = columnPattern.FindAllStringIndex(line, -1)
		}
		var cells []string
		for i, column := range columns {
			begin, end := min(column[0], len(line)), len(line)
			if i+1 < len(columns) {
				end = min(columns[i+1][0], end)
			}
			cell := strings.TrimSpace(line[begin:end])
			cells = append(cells, agePattern.ReplaceAllString(cell, "age"))
		}
		rows = append(rows, strings.Join(strings.Fields(strings.Join(cells, " | ")), " "))
	}
	return rows
}
