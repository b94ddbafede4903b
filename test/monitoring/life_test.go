// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

const (
	token  = "a-token-of-forty-characters-for-the-test"
	tenant = "secret-tenant" // a namespace; no metric may contain its name
)

// account is an Account with its own main account.
type account struct{ name, credentials, budget string }

// main returns the main account's ID.
func (a account) main() string {
	return ("MA" + strings.ToUpper(a.name) + strings.Repeat("0", 18))[:20]
}

// The spec "shows resources by state and reason" checks the metrics of each.
var accounts = []account{
	{"default", token, "150"},
	{"doubted", token, "150"},
	{"limited", token, "150"},
	{"narrow", token, "1"},
	{"refused", "another-token", "150"},
	{"keyless", "", "150"},
}

func (a account) manifests() string {
	secret := ""
	if a.credentials != "" {
		secret = fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {namespace: %s, name: %s}
stringData: {auth_id: %s, auth_token: %s}
---`, operatorNamespace, a.name, a.main(), a.credentials)
	}
	return secret + fmt.Sprintf(`
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Account
metadata: {name: %s}
spec: {credentialsSecretRef: {name: %[1]s}, namespaceSelector: {}, sweepInterval: 10s, requestsPer5Seconds: %s}
---`, a.name, a.budget)
}

const subaccount = `
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Subaccount
metadata: {namespace: ` + tenant + `, name: %s%s}
spec: {accountRef: {name: %s}, name: a name%s}
---`

// subaccounts returns the manifests of n Subaccounts of an Account, named after it.
func subaccounts(account string, n int) (manifests string) {
	for i := range n {
		manifests += fmt.Sprintf(subaccount, fmt.Sprint(account, "-", i), "", account, "")
	}
	return manifests
}

func apply(manifests string) {
	GinkgoHelper()
	kubectl(manifests, "apply", "-f", "-")
}

func control(method, path string, in any) {
	GinkgoHelper()
	Expect(plivosim.Control(ctx, sim.URL, method, path, in, nil)).To(Succeed())
}

func authID(name string) string {
	GinkgoHelper()
	return kubectl("", "get", "subaccount", "-n", tenant, name, "-o", "jsonpath={.status.authID}")
}

// createStates creates resources in most states and with most reasons.
func createStates() {
	GinkgoHelper()
	kubectl("", "create", "namespace", tenant)
	manifests := ""
	for _, a := range accounts {
		manifests += a.manifests()
	}
	apply(manifests + subaccounts("default", 9) + subaccounts("doubted", 10) + subaccounts("narrow", 9) + subaccounts("nowhere", 2))
	expectSubaccounts(series{"account": "default", "state": "Ready"}, 9)
	expectSubaccounts(series{"account": "doubted", "state": "Ready"}, 10)
	expectValue(`subaccount_operator_sweeps_total{account="limited",outcome="complete"} > bool 0`, 1)

	By("changing one subaccount at Plivo, deleting another, and adding a stray")
	control(http.MethodPatch, "subaccounts/"+authID("default-0"), map[string]string{"name": "Somebody else's"})
	control(http.MethodDelete, "subaccounts/"+authID("default-1"), nil)
	cluster := kubectl("", "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
	control(http.MethodPost, "subaccounts?account="+accounts[0].main(),
		map[string]string{"name": "k8s-" + cluster[:8] + "-00000000-0000-4000-8000-000000000000"})
	control(http.MethodPost, "subaccounts?account="+accounts[0].main(), map[string]string{"name": "created by hand"})

	By("suspending one, deleting a suspended one, rejecting one, restoring one without its status")
	for _, name := range []string{"default-2", "default-3"} {
		kubectl("", "patch", "subaccount", "-n", tenant, name, "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	}
	expectSubaccounts(series{"account": "default", "state": "Suspended"}, 2)
	kubectl("", "delete", "subaccount", "-n", tenant, "default-3", "--wait=false")
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: accounts[0].main(), Status: 400, Times: 1})
	apply(fmt.Sprintf(subaccount, "refused", "", "default", "") +
		fmt.Sprintf(subaccount, "restored", ", finalizers: [plivo.subaccount-operator.dev/finalizer]", "default", ""))

	By("emptying one main account's list; losing another's create response and then limiting its rate")
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: accounts[1].main(), Rows: plivosim.None})
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: accounts[2].main(), When: plivosim.After, What: plivosim.Cut})
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: accounts[2].main(), Status: 429})
	apply(subaccounts("limited", 1))

	By("waiting for the changes that need two sweeps")
	for _, name := range []string{"drifts_repaired", "recreations", "strays_removed"} {
		expectValue(fmt.Sprintf(`subaccount_operator_%s_total{account="default"}`, name), 1)
	}
}

// endFaults ends all faults and adds Subaccounts, for the picture.
func endFaults() {
	GinkgoHelper()
	control(http.MethodDelete, "faults", nil)
	apply(subaccounts("default", 30))
	kubectl("", "patch", "account", "narrow", "--type=merge", "-p", `{"spec":{"requestsPer5Seconds":150}}`)
	expectSubaccounts(series{"account": "default", "state": "Ready"}, 28)
	for _, account := range []string{"doubted", "limited", "narrow"} {
		expectValue(fmt.Sprintf(`sum(subaccount_operator_subaccounts{account=%q,state!="Ready"}) or vector(0)`, account), 0)
	}
	expectValue(`subaccount_operator_sweeps_total{account="limited",outcome="complete"} > bool 5`, 1)
}
