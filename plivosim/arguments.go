// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// arguments has the arguments of a request that the simulator uses, nil if omitted. It
// ignores others.
type arguments struct {
	name       *string
	enabled    *bool
	cascade    *bool
	subaccount *string // of a neighbour
}

// parseArguments reads a JSON body, and cascade from the query or the body: Plivo's
// documentation has it in the query, but the SDKs send it in the body. A GET of an SDK
// may have the JSON string "" as its body, which means no arguments.
func parseArguments(query url.Values, body []byte) (arguments, error) {
	var a arguments
	fields := map[string]json.RawMessage{}
	if b := bytes.TrimSpace(body); len(b) > 0 && string(b) != `""` {
		if json.Unmarshal(b, &fields) != nil {
			return a, errors.New("the body is not a JSON object")
		}
	}
	// The name of a neighbour is app_name, alias or number, depending on its kind.
	for _, key := range []string{"name", "app_name", "alias", "number"} {
		if err := text(fields, key, &a.name); err != nil {
			return a, err
		}
	}
	for _, key := range []string{"subaccount", "sub_account"} {
		if err := text(fields, key, &a.subaccount); err != nil {
			return a, err
		}
	}
	if err := boolean("enabled", fields["enabled"], &a.enabled); err != nil {
		return a, err
	}
	if err := boolean("cascade", fields["cascade"], &a.cascade); err != nil {
		return a, err
	}
	if query.Has("cascade") {
		inBody := a.cascade
		if err := boolean("cascade", encode(query.Get("cascade")), &a.cascade); err != nil {
			return a, err
		}
		if inBody != nil && *inBody != *a.cascade {
			return a, errors.New("cascade differs between the query and the body")
		}
	}
	return a, nil
}

func text(fields map[string]json.RawMessage, key string, into **string) error {
	if raw, ok := fields[key]; ok && json.Unmarshal(raw, into) != nil {
		return fmt.Errorf("%s is not a string", key)
	}
	return nil
}

// boolean accepts a JSON bool, and the strings "true" and "false" in any case,
// which the official Node SDK sends.
func boolean(key string, raw json.RawMessage, into **bool) error {
	word := strings.ToLower(strings.Trim(string(raw), `"`))
	switch word {
	case "", "null":
	case "true", "false":
		v := word == "true"
		*into = &v
	default:
		return fmt.Errorf("%s is neither true nor false", key)
	}
	return nil
}
