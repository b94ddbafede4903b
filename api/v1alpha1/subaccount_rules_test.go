// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const marker = "k8s-0123abcd-01234567-89ab-cdef-0123-456789abcdef"

// named returns a Subaccount with this spec.name, which may have YAML escapes.
func named(name string) string { return `spec: {name: "` + name + `"}` }

// withSecret returns a Subaccount with this spec.secret.
func withSecret(secret string) string { return "spec: {name: a, secret: " + secret + "}" }

// keyed returns a Subaccount for each key, with only that key in a map of
// spec.secret.
func keyed(field string, keys ...string) []string {
	var all []string
	for _, key := range keys {
		all = append(all, withSecret(fmt.Sprintf("{%s: {%q: x}}", field, key)))
	}
	return all
}

func TestSubaccountRules_Name(t *testing.T) {
	const ends = "must not begin or end with whitespace"
	const separators = "must not contain control or separator characters other than the plain space"
	check(t, "Subaccount", []rule{{
		name: "is required unless authID is given",
		accepted: []string{
			"spec: {name: a}",
			"spec: {authID: " + subaccountA + ", deletionPolicy: Orphan}",
			"spec: {authID: " + subaccountA + ", deletionPolicy: Orphan, name: a}",
		},
		refused: []refusal{
			{"spec: {}", "spec.name", "name is required unless authID is given"},
			{"spec: {enabled: true}", "spec.name", "name is required unless authID is given"},
			{"metadata: {}", "spec", "Required value"},
		},
	}, {
		name:     "has 1 to 128 characters of any length in bytes",
		accepted: []string{named("a"), named(strings.Repeat("é", 128)), named(strings.Repeat("😀", 128))},
		refused: append(refusedAlike("spec.name", "may not be more than 128",
			named(strings.Repeat("a", 129)), named(strings.Repeat("é", 129))),
			refusal{named(""), "spec.name", "should be at least 1 chars long"}),
	}, {
		name:     "has no whitespace at either end",
		accepted: []string{named("a b"), named("a  b")},
		refused: refusedAlike("spec.name", ends, named(" a"), named("a "), named(" "), named(`\ta`), named(`a\n`),
			named(`\u00a0a`), named(`a\u3000`), named(`a\u2028`)),
	}, {
		// The joiner in an emoji is neither a control character nor a separator.
		name:     "has no control characters and no separators but the plain space",
		accepted: []string{named("a b"), named("👩\u200d💻")},
		refused: refusedAlike("spec.name", separators, named(`a\u0000b`), named(`a\tb`), named(`a\nb`), named(`a\u007fb`),
			named(`a\u0085b`), named(`a\u00a0b`), named(`a\u2003b`), named(`a\u2028b`), named(`a\u2029b`), named(`a\u3000b`)),
	}, {
		name:     "does not have the form of a marker",
		accepted: []string{named("k8s-team"), named("my " + marker), named(marker + "0"), named(marker[1:])},
		refused:  refusedAlike("spec.name", "must not have the form of the operator's own marker", named(marker)),
	}, {
		name:     "can be changed, and removed only from an adopted one",
		before:   "spec: {name: a}",
		accepted: []string{"spec: {name: b}"},
		refused:  []refusal{{"spec: {}", "spec.name", "name is required unless authID is given"}},
	}, {
		name:     "of an adopted one can be removed",
		before:   "spec: {name: a, authID: " + subaccountA + ", deletionPolicy: Orphan}",
		accepted: []string{"spec: {authID: " + subaccountA + ", deletionPolicy: Orphan}"},
		refused:  []refusal{{"spec: {name: '', authID: " + subaccountA + ", deletionPolicy: Orphan}", "spec.name", "at least 1 chars"}},
	}})
}

func TestSubaccountRules_AccountRef(t *testing.T) {
	const immutable = "accountRef.name is immutable"
	check(t, "Subaccount", []rule{{
		name:     "is the name of an Account",
		accepted: []string{"spec: {name: a, accountRef: {name: eu-1.prod}}"},
		refused: append(refusedAlike("spec.accountRef.name", "must be the name of an Account",
			"spec: {name: a, accountRef: {name: EU}}", "spec: {name: a, accountRef: {name: eu_1}}"),
			refusal{"spec: {name: a, accountRef: {name: ''}}", "spec.accountRef.name", "at least 1 chars"},
			refusal{"spec: {name: a, accountRef: {name: " + strings.Repeat("a", 254) + "}}", "spec.accountRef.name", "more than 253"}),
	}, {
		name:   "that was defaulted is immutable",
		before: "spec: {name: a}",
		accepted: []string{"spec: {name: b}", "spec: {name: a, accountRef: {}}",
			"spec: {name: a, accountRef: {name: default}}"},
		refused: refusedAlike("spec.accountRef.name", immutable, "spec: {name: a, accountRef: {name: other}}"),
	}, {
		name:     "that was set is immutable and cannot be removed",
		before:   "spec: {name: a, accountRef: {name: other}}",
		accepted: []string{"spec: {name: b, accountRef: {name: other}}"},
		refused: refusedAlike("spec.accountRef.name", immutable, "spec: {name: a}", "spec: {name: a, accountRef: {}}",
			"spec: {name: a, accountRef: {name: default}}"),
	}})
}

func TestSubaccountRules_Adoption(t *testing.T) {
	adopting := func(authID string) string { return "spec: {name: a, deletionPolicy: Orphan, authID: " + authID + "}" }
	const neither = "authID can be neither added nor removed later"
	check(t, "Subaccount", []rule{{
		name:     "authID has the form of a subaccount's ID",
		accepted: []string{adopting(subaccountA), adopting("SA0123456789ABCDEFGH")},
		refused: refusedAlike("spec.authID", "should match '^SA[A-Z0-9]{18}$'",
			adopting("''"), adopting(subaccountA[1:]), adopting(mainA), adopting(strings.ToLower(subaccountA)), adopting("SA0123456789ABCDEFG_")),
	}, {
		name:     "deletionPolicy is required",
		accepted: []string{"spec: {authID: " + subaccountA + ", deletionPolicy: Delete}", adopting(subaccountA), "spec: {name: a}"},
		refused:  refusedAlike("spec.deletionPolicy", "is required with authID", "spec: {authID: "+subaccountA+"}"),
	}, {
		name:     "authID cannot be added later",
		before:   "spec: {name: a, deletionPolicy: Orphan}",
		accepted: []string{"spec: {name: b, deletionPolicy: Orphan}"},
		refused:  refusedAlike("spec.authID", neither, adopting(subaccountA)),
	}, {
		name:     "authID cannot be changed or removed later",
		before:   adopting(subaccountA),
		accepted: []string{"spec: {name: b, deletionPolicy: Delete, authID: " + subaccountA + "}"},
		refused: []refusal{
			{adopting(subaccountB), "spec.authID", "authID is immutable"},
			{"spec: {name: a, deletionPolicy: Orphan}", "spec.authID", neither},
			{"spec: {name: a, authID: " + subaccountA + "}", "spec.deletionPolicy", "is required with authID"},
		},
	}})
}

func TestSubaccountRules_Policies(t *testing.T) {
	check(t, "Subaccount", []rule{{
		name:     "deletionPolicy is Delete or Orphan",
		accepted: []string{"spec: {name: a, deletionPolicy: Delete}", "spec: {name: a, deletionPolicy: Orphan}"},
		refused:  refusedAlike("spec.deletionPolicy", `supported values: "Delete", "Orphan"`, "spec: {name: a, deletionPolicy: orphan}"),
	}, {
		name:     "cascadePolicy is Reassign or Delete",
		accepted: []string{"spec: {name: a, cascadePolicy: Reassign}", "spec: {name: a, cascadePolicy: Delete}"},
		refused:  refusedAlike("spec.cascadePolicy", `supported values: "Reassign", "Delete"`, "spec: {name: a, cascadePolicy: Orphan}"),
	}, {
		name:     "enabled is a bool and optional",
		accepted: []string{"spec: {name: a}", "spec: {name: a, enabled: true}", "spec: {name: a, enabled: false}"},
		refused:  refusedAlike("spec.enabled", "must be of type boolean", "spec: {name: a, enabled: 'true'}"),
	}, {
		name:     "suspend is a bool and optional",
		accepted: []string{"spec: {name: a, suspend: true}", "spec: {name: a, suspend: false}"},
		refused:  refusedAlike("spec.suspend", "must be of type boolean", "spec: {name: a, suspend: 1}"),
	}})
}

func TestSubaccountRules_Terminating_PoliciesCanBeChanged(t *testing.T) {
	object := create(t, "Subaccount", "metadata: {finalizers: [example.com/held]}\nspec: {name: a}")
	if err := server.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	if object.GetDeletionTimestamp() == nil {
		t.Fatal("got a Subaccount that is not terminating")
	}
	object.Object["spec"].(map[string]any)["deletionPolicy"] = "Orphan"
	object.Object["spec"].(map[string]any)["cascadePolicy"] = "Delete"
	if err := server.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	checkFields(t, object, map[string]string{"spec.deletionPolicy": "Orphan", "spec.cascadePolicy": "Delete"})
}

func TestSubaccountRules_Secret(t *testing.T) {
	const invalidName = "must be a valid Secret name"
	const invalidKey = "must be a valid Secret key"
	longName := func(length int, spec string) string {
		return "metadata: {name: " + strings.Repeat("a", length) + "}\nspec: " + spec
	}
	const tooLong = "metadata.name is too long for the default Secret name <metadata.name>-plivo"
	check(t, "Subaccount", []rule{{
		name:     "name is a valid Secret name",
		accepted: []string{withSecret("{name: a.b-1}"), withSecret("{}")},
		refused: append(refusedAlike("spec.secret.name", invalidName,
			withSecret("{name: A}"), withSecret("{name: a_b}"), withSecret("{name: a-}"), withSecret("{name: a/b}")),
			refusal{withSecret("{name: ''}"), "spec.secret.name", "at least 1 chars"},
			refusal{withSecret("{name: " + strings.Repeat("a", 254) + "}"), "spec.secret.name", "more than 253"}),
	}, {
		name: "name by default leaves room for metadata.name",
		accepted: []string{longName(247, "{name: a}"), longName(247, "{name: a, secret: {}}"),
			longName(248, "{name: a, secret: {name: b}}"), longName(253, "{name: a, secret: {name: b}}")},
		refused: refusedAlike("spec.secret.name", tooLong, longName(248, "{name: a}"), longName(253, "{name: a, secret: {keys: {authID: x}}}")),
	}, {
		name:     "name that a long metadata.name needs cannot be removed",
		before:   longName(248, "{name: a, secret: {name: b}}"),
		accepted: []string{"spec: {name: a, secret: {name: c}}"},
		refused:  refusedAlike("spec.secret.name", tooLong, "spec: {name: a}"),
	}, {
		name: "keys are valid Secret keys",
		accepted: []string{withSecret("{keys: {authID: PLIVO_AUTH_ID, authToken: PLIVO_AUTH_TOKEN}}"),
			withSecret("{keys: {authID: .a-b_c.D}}"), withSecret("{keys: {authToken: a..b}}")},
		refused: append(append(
			refusedAlike("spec.secret.keys.authID", invalidKey, withSecret("{keys: {authID: a b}}"), withSecret("{keys: {authID: a/b}}"),
				withSecret("{keys: {authID: .}}"), withSecret("{keys: {authID: ..}}"), withSecret("{keys: {authID: ..a}}"), withSecret("{keys: {authID: é}}")),
			refusedAlike("spec.secret.keys.authToken", invalidKey, withSecret("{keys: {authToken: a b}}"), withSecret("{keys: {authToken: .}}"),
				withSecret("{keys: {authToken: ..a}}"))...),
			refusal{withSecret("{keys: {authID: ''}}"), "spec.secret.keys.authID", "at least 1 chars"},
			refusal{withSecret("{keys: {authToken: ''}}"), "spec.secret.keys.authToken", "at least 1 chars"},
			refusal{withSecret("{keys: {authID: " + strings.Repeat("a", 254) + "}}"), "spec.secret.keys.authID", "more than 253"},
			refusal{withSecret("{keys: {authToken: " + strings.Repeat("a", 254) + "}}"), "spec.secret.keys.authToken", "more than 253"}),
	}, {
		name:     "keys must differ, defaults included",
		accepted: []string{withSecret("{keys: {authID: a, authToken: A}}"), withSecret("{keys: {authID: auth_token, authToken: auth_id}}")},
		refused: refusedAlike("spec.secret.keys", "authID and authToken must differ", withSecret("{keys: {authID: a, authToken: a}}"),
			withSecret("{keys: {authID: auth_token}}"), withSecret("{keys: {authToken: auth_id}}")),
	}, {
		name:   "can be changed",
		before: withSecret("{name: a, keys: {authID: a}, labels: {a: b}}"),
		accepted: []string{withSecret("{name: b}"), withSecret("{name: a, keys: {authID: b, authToken: a}}"),
			withSecret("{name: a, labels: {b: a}, annotations: {a: b}}"), "spec: {name: a}"},
		refused: refusedAlike("spec.secret.name", invalidName, withSecret("{name: B}")),
	}})
}

func TestSubaccountRules_SecretMetadata(t *testing.T) {
	reserved := []string{"kubernetes.io/x", "foo.kubernetes.io/x", "k8s.io/x", "x.k8s.io/y", "a.b.k8s.io/y",
		"plivo.subaccount-operator.dev/z", "subaccount-operator.dev/z", "x.plivo.subaccount-operator.dev/z",
		"app.kubernetes.io/managed-by", "x.app.kubernetes.io/name"}
	free := []string{"team", "kubernetes.io", "example.com/x", "app.kubernetes.io/name", "app.kubernetes.io/part-of",
		"notkubernetes.io/x", "notk8s.io/x", "kubernetes.io.example.com/x", "kubernetes-io.example/x", "mysubaccount-operator.dev/x"}
	const words = "the domains kubernetes.io, k8s.io and subaccount-operator.dev are reserved"
	check(t, "Subaccount", []rule{{
		name:     "labels of reserved domains are refused",
		accepted: keyed("labels", free...),
		refused:  refusedAlike("spec.secret.labels", words, keyed("labels", reserved...)...),
	}, {
		name:     "annotations of reserved domains are refused in any case",
		accepted: keyed("annotations", append(free, "Example.com/X", "NotKubernetes.io/x")...),
		refused: refusedAlike("spec.secret.annotations", words, keyed("annotations", append(reserved, "Kubernetes.io/x", "foo.KUBERNETES.IO/x",
			"X.K8s.io/y", "PLIVO.subaccount-operator.dev/z", "App.kubernetes.io/managed-by", "App.Kubernetes.io/name")...)...),
	}, {
		name:     "labels have valid keys",
		accepted: keyed("labels", "a", "A.b-c_d", strings.Repeat("a", 63), "example.com/"+strings.Repeat("a", 63)),
		refused: refusedAlike("spec.secret.labels", "each key must be a valid label key", keyed("labels",
			"", "-a", "a b", "a/b/c", "/a", "Example.com/a", strings.Repeat("a", 64))...),
	}, {
		name:     "annotations have valid keys",
		accepted: keyed("annotations", "a", "A.b-c_d", "Example.com/a"),
		refused: refusedAlike("spec.secret.annotations", "each key must be a valid annotation key", keyed("annotations",
			"", "-a", "a b", "a/b/c", "/a", strings.Repeat("a", 64))...),
	}, {
		name: "labels have valid values",
		accepted: []string{withSecret("{labels: {k: ''}}"), withSecret("{labels: {k: A.b-c_1}}"),
			withSecret("{labels: {k: " + strings.Repeat("a", 63) + "}}")},
		refused: append(refusedAlike("spec.secret.labels[k]", "must be a valid label value",
			withSecret("{labels: {k: a b}}"), withSecret("{labels: {k: a-}}"), withSecret("{labels: {k: é}}")),
			refusal{withSecret("{labels: {k: " + strings.Repeat("a", 64) + "}}"), "spec.secret.labels.k", "more than 63"}),
	}, {
		name:     "annotations have values of at most 4096 characters",
		accepted: []string{withSecret("{annotations: {k: ' any thing, é '}}"), withSecret("{annotations: {k: " + strings.Repeat("é", 4096) + "}}")},
		refused:  refusedAlike("spec.secret.annotations.k", "more than 4096", withSecret("{annotations: {k: "+strings.Repeat("a", 4097)+"}}")),
	}, {
		name:     "labels and annotations are at most 32 each",
		accepted: []string{withSecret("{labels: " + entries(32) + ", annotations: " + entries(32) + "}")},
		refused: []refusal{
			{withSecret("{labels: " + entries(33) + "}"), "spec.secret.labels", "must have at most 32"},
			{withSecret("{annotations: " + entries(33) + "}"), "spec.secret.annotations", "must have at most 32"},
		},
	}})
}
