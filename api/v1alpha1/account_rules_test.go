// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"
)

// account returns an Account with these fields in addition to the required ones.
func account(more string) string {
	return "spec: {credentialsSecretRef: {name: plivo}, namespaceSelector: {}" + more + "}"
}

func TestAccountRules_Credentials(t *testing.T) {
	ref := func(ref string) string { return "spec: {namespaceSelector: {}, credentialsSecretRef: " + ref + "}" }
	const invalid = "must be a valid Secret name"
	check(t, "Account", []rule{{
		name:     "credentialsSecretRef.name is required and a valid Secret name",
		accepted: []string{ref("{name: plivo}"), ref("{name: a.b-1}")},
		refused: append(refusedAlike("spec.credentialsSecretRef.name", invalid, ref("{name: A}"), ref("{name: a/b}"), ref("{name: a-}")),
			refusal{"spec: {namespaceSelector: {}}", "spec.credentialsSecretRef", "Required value"},
			refusal{ref("{}"), "spec.credentialsSecretRef.name", "Required value"},
			refusal{ref("{name: ''}"), "spec.credentialsSecretRef.name", "at least 1 chars"},
			refusal{ref("{name: " + strings.Repeat("a", 254) + "}"), "spec.credentialsSecretRef.name", "more than 253"},
			refusal{"metadata: {}", "spec", "Required value"}),
	}, {
		name:     "can be changed",
		before:   account(""),
		accepted: []string{ref("{name: other}"), account(", requestsPer5Seconds: 10")},
		refused:  refusedAlike("spec.credentialsSecretRef.name", invalid, ref("{name: Other}")),
	}})
}

func TestAccountRules_NamespaceSelector(t *testing.T) {
	selecting := func(selector string) string {
		return "spec: {credentialsSecretRef: {name: plivo}, namespaceSelector: " + selector + "}"
	}
	const operators = "each matchExpressions entry needs the operator In or NotIn with values, or Exists or DoesNotExist without"
	expression := func(expression string) string { return selecting("{matchExpressions: [{key: k, " + expression + "}]}") }
	check(t, "Account", []rule{{
		name:     "is required and may be {}",
		accepted: []string{selecting("{}"), selecting("{matchLabels: {team: a}}")},
		refused: append(refusedAlike("spec.namespaceSelector", "Required value", "spec: {credentialsSecretRef: {name: plivo}}"),
			refusal{selecting("team"), "spec.namespaceSelector", "must be of type object"},
			refusal{selecting("{matchExpressions: [{operator: Exists}]}"), "spec.namespaceSelector.matchExpressions[0].key", "Required value"},
			refusal{selecting("{matchExpressions: [{key: k}]}"), "spec.namespaceSelector.matchExpressions[0].operator", "Required value"}),
	}, {
		name: "has operators of a label selector, with values if needed",
		accepted: []string{expression("operator: In, values: [a]"), expression("operator: NotIn, values: [a, b]"),
			expression("operator: Exists"), expression("operator: DoesNotExist"), expression("operator: Exists, values: []")},
		refused: refusedAlike("spec.namespaceSelector", operators, expression("operator: Equals, values: [a]"), expression("operator: in, values: [a]"),
			expression("operator: In"), expression("operator: NotIn, values: []"),
			expression("operator: Exists, values: [a]"), expression("operator: DoesNotExist, values: [a]")),
	}})
}

func TestAccountRules_Adoption(t *testing.T) {
	granting := func(grants string) string { return account(", adoption: [" + grants + "]") }
	grant := func(namespace, ids string) string { return "{namespace: " + namespace + ", authIDs: [" + ids + "]}" }
	const field = "spec.adoption[0].authIDs"
	many := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ", ")
	}
	check(t, "Account", []rule{{
		name:     "has each namespace once",
		accepted: []string{granting(""), granting(grant("a", subaccountA) + ", " + grant("b", subaccountA))},
		refused: []refusal{{granting(grant("a", subaccountA) + ", " + grant("a", subaccountB)), "spec.adoption[1]",
			"Duplicate value: "}},
	}, {
		name:     "is for one named namespace",
		accepted: []string{granting(grant("team-1", "'*'"))},
		refused: append(refusedAlike("spec.adoption[0].namespace", "must be the name of one namespace",
			granting(grant("'*'", "'*'")), granting(grant("team-*", "'*'")), granting(grant("Team", "'*'"))),
			refusal{granting("{authIDs: ['*']}"), "spec.adoption[0].namespace", "Required value"},
			refusal{granting(grant("''", "'*'")), "spec.adoption[0].namespace", "at least 1 chars"},
			refusal{granting(grant(strings.Repeat("a", 64), "'*'")), "spec.adoption[0].namespace", "more than 63"}),
	}, {
		name:     "has IDs of subaccounts, or *",
		accepted: []string{granting(grant("a", subaccountA+", "+subaccountB)), granting(grant("a", "'*'"))},
		refused: append(refusedAlike(field+"[0]", "should match", granting(grant("a", "'SA*'")), granting(grant("a", "'**'")),
			granting(grant("a", "''")), granting(grant("a", mainA)), granting(grant("a", strings.ToLower(subaccountA)))),
			refusal{granting("{namespace: a}"), field, "Required value"},
			refusal{granting(grant("a", "")), field, "should have at least 1 items"},
			refusal{granting(grant("a", subaccountA+", "+subaccountA)), field + "[1]", "Duplicate value"}),
	}, {
		name: "has at most 1000 namespaces with 10000 IDs each",
		accepted: []string{granting(many(1000, "{namespace: n%d, authIDs: ['*']}")),
			granting(grant("a", many(10000, "SA%018d")))},
		refused: []refusal{
			{granting(many(1001, "{namespace: n%d, authIDs: ['*']}")), "spec.adoption", "must have at most 1000"},
			{granting(grant("a", many(10001, "SA%018d"))), field, "must have at most 10000"},
		},
	}})
}

func TestAccountRules_SweepIntervalAndRequestsPer5Seconds(t *testing.T) {
	every := func(interval string) string { return account(", sweepInterval: " + interval) }
	budget := func(budget string) string { return account(", requestsPer5Seconds: " + budget) }
	check(t, "Account", []rule{{
		name:     "sweepInterval is a duration of at least 10s",
		accepted: []string{account(""), every("10s"), every("10000ms"), every("1.5h"), every("1h30m0s"), every("0.5m")},
		refused: append(refusedAlike("spec.sweepInterval", "must be a duration of at least 10s", every("9s"), every("9999ms"), every("0s"),
			every("''"), every("soon"), every("'10'"), every("-10s"), every("10 s"), every("1d"), every(strings.Repeat("9", 31)+"h")),
			refusal{every("10"), "spec.sweepInterval", "must be of type string"},
			refusal{every(strings.Repeat("1", 32) + "s"), "spec.sweepInterval", "more than 32"}),
	}, {
		name:     "requestsPer5Seconds is 1 to 300",
		accepted: []string{account(""), budget("1"), budget("300")},
		refused: []refusal{
			{budget("0"), "spec.requestsPer5Seconds", "should be greater than or equal to 1"},
			{budget("301"), "spec.requestsPer5Seconds", "should be less than or equal to 300"},
			{budget("'150'"), "spec.requestsPer5Seconds", "must be of type integer"},
		},
	}})
}

func TestAccountRules_AllowedPolicies(t *testing.T) {
	deletion := func(list string) string { return account(", allowedDeletionPolicies: " + list) }
	cascade := func(list string) string { return account(", allowedCascadePolicies: " + list) }
	check(t, "Account", []rule{{
		name:     "are unique valid values, at least one",
		accepted: []string{deletion("[Delete]"), deletion("[Orphan]"), deletion("[Orphan, Delete]"), cascade("[Reassign]"), cascade("[Delete, Reassign]")},
		refused: []refusal{
			{deletion("[Keep]"), "spec.allowedDeletionPolicies[0]", "Unsupported value"},
			{deletion("[]"), "spec.allowedDeletionPolicies", "at least 1 items"},
			{deletion("[Delete, Delete]"), "spec.allowedDeletionPolicies[1]", "Duplicate value"},
			{cascade("[Orphan]"), "spec.allowedCascadePolicies[0]", "Unsupported value"},
			{cascade("[]"), "spec.allowedCascadePolicies", "at least 1 items"},
		},
	}, {
		name:     "can be changed and removed",
		before:   deletion("[Delete]"),
		accepted: []string{account(""), deletion("[Orphan]"), cascade("[Delete]")},
		refused:  []refusal{{deletion("[]"), "spec.allowedDeletionPolicies", "at least 1 items"}},
	}})
}
