// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"testing"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestFailed_RepeatedMessage_IsLoggedOnceAndNotAtTheEndOfTheProcess(t *testing.T) {
	lines := 0
	ctx := log.IntoContext(t.Context(), funcr.New(func(string, string) { lines++ }, funcr.Options{}))
	ended, end := context.WithCancel(ctx)
	end()
	key := types.NamespacedName{Name: "a"}
	retries := NewRetries()
	for _, step := range []struct {
		ctx     context.Context
		message string
		want    int
	}{
		{ended, "context canceled", 0},
		{ctx, "refused", 1},
		{ctx, "refused", 1},
		{ctx, "", 1},
		{ctx, "refused", 1},
		{ctx, "forbidden", 2},
		{ended, "context canceled", 2},
	} {
		if result := retries.Failed(step.ctx, key, step.message); result.RequeueAfter == 0 || lines != step.want {
			t.Errorf("%q: got requeue after %s and %d lines, want a requeue and %d", step.message, result.RequeueAfter, lines, step.want)
		}
	}
}
