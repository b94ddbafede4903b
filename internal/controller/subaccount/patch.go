package subaccount

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
)

// jsonPatch is an RFC 6902 patch. Unlike a merge patch it checks the UID on
// the status subresource, and an edit of the spec meanwhile cannot refuse it.
type jsonPatch []map[string]any

func (j jsonPatch) test(path string, value any) jsonPatch {
	return append(j, map[string]any{"op": "test", "path": path, "value": value})
}

func (j jsonPatch) add(path string, value any) jsonPatch {
	return append(j, map[string]any{"op": "add", "path": path, "value": value})
}

func (j jsonPatch) remove(path string) jsonPatch {
	return append(j, map[string]any{"op": "remove", "path": path})
}

const (
	pathUID        = "/metadata/uid"
	pathAttempt    = "/status/pendingCreation/attempt"
	pathPending    = "/status/pendingCreation"
	pathAuthID     = "/status/authID"
	pathAccount    = "/status/accountID"
	pathConditions = "/status/conditions"

	pathObservedGeneration = "/status/observedGeneration"
)

func (st *reconcileState) patchJSON(ctx context.Context, j jsonPatch) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return st.write(ctx, client.RawPatch(types.JSONPatchType, data), st.statusPatch)
}

func (st *reconcileState) patchStatus(ctx context.Context, modified *v1alpha1.Subaccount) error {
	return st.patch(ctx, modified, st.statusPatch)
}

func (st *reconcileState) statusPatch(ctx context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return st.reconciler.Client.Status().Patch(ctx, obj, patch)
}

type patcher func(context.Context, client.Object, client.Patch, ...client.PatchOption) error

// patch writes a change under an optimistic lock.
func (st *reconcileState) patch(ctx context.Context, modified *v1alpha1.Subaccount, send patcher) error {
	patch := client.MergeFromWithOptions(st.obs.Object, client.MergeFromWithOptimisticLock{})
	data, err := patch.Data(modified)
	if err != nil {
		return err
	}
	return st.write(ctx, client.RawPatch(patch.Type(), data), send)
}

// write sends a patch and takes the answer as the object. The answer is read
// into an empty object: decoding leaves alone what it does not mention.
func (st *reconcileState) write(ctx context.Context, patch client.Patch, send patcher) error {
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: st.obs.Object.Namespace, Name: st.obs.Object.Name}}
	if err := send(ctx, s, patch); err != nil {
		return err
	}
	_, _ = kube.StripSubaccount(s) // as the cache has it; it does not fail
	st.obs.Object = s
	st.reconciler.memory.recordWrite(s)
	return nil
}
