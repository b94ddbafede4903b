// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// healthScripts are Argo CD's Lua scripts, by their key in argocd-cm.
type healthScripts map[string]string

// readHealthScripts reads the scripts that config/argocd adds to argocd-cm.
func readHealthScripts() healthScripts {
	GinkgoHelper()
	root, err := controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	out, err := kubectl("", "kustomize", filepath.Join(root, "config", "argocd"))
	Expect(err).NotTo(HaveOccurred())
	var cm corev1.ConfigMap
	Expect(yaml.UnmarshalStrict([]byte(out), &cm)).To(Succeed())
	Expect(cm.Name).To(Equal("argocd-cm"))
	Expect(cm.Data).To(And(HaveLen(2), HaveKey(healthKey("Subaccount")), HaveKey(healthKey("Account"))))
	return cm.Data
}

func healthKey(kind string) string {
	return "resource.customizations.health." + v1alpha1.Group + "_" + kind
}

// run runs an object's script as Argo CD does if useOpenLibs is not set: with the base
// and table libraries only.
func (h healthScripts) run(obj *unstructured.Unstructured) (status, message string, err error) {
	vm := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer vm.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := vm.CallByParam(lua.P{Fn: vm.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	vm.SetGlobal("obj", toLua(vm, obj.Object))
	if err := vm.DoString(h[healthKey(obj.GetKind())]); err != nil {
		return "", "", err
	}
	hs, ok := vm.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("got %v from the health script, want a table", vm.Get(-1))
	}
	return lua.LVAsString(hs.RawGetString("status")), lua.LVAsString(hs.RawGetString("message")), nil
}

func toLua(vm *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		table := vm.NewTable()
		for _, item := range v {
			table.Append(toLua(vm, item))
		}
		return table
	case map[string]any:
		table := vm.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(vm, item))
		}
		return table
	default:
		panic(fmt.Sprintf("%T in an object of Kubernetes", value))
	}
}
