// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

func projectRoot(t *testing.T) string {
	t.Helper()
	root, err := cache.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
