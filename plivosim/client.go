// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Control calls the control endpoint of the simulator at baseURL, as in
//
//	err := Control(ctx, baseURL, http.MethodGet, "calls", nil, &calls)
//
// path is the part after /_sim/. Control sends in as JSON and decodes the response into
// out; both may be nil. Any status of 300 or more is an error.
func Control(ctx context.Context, baseURL, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, baseURL+controlPrefix+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	response, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s%s: %s: %w", method, controlPrefix, path, resp.Status, err)
	case resp.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("%s %s%s: %s: %s", method, controlPrefix, path, resp.Status, response)
	case out == nil:
		return nil
	}
	return json.Unmarshal(response, out)
}
