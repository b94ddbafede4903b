// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// series is the set of labels that identifies a series.
type series map[string]string

// sample contains one value, or the values over time, of a series.
type sample struct {
	Metric series
	Value  point
	Values []point
}

type point struct{ at, value float64 }

// UnmarshalJSON implements json.Unmarshaler: [time, "value"].
func (p *point) UnmarshalJSON(data []byte) (err error) {
	var text string
	if err := json.Unmarshal(data, &[]any{&p.at, &text}); err != nil {
		return err
	}
	p.value, err = strconv.ParseFloat(text, 64)
	return err
}

// response is a response of Prometheus' HTTP API.
type response[T any] struct {
	Status, Error   string
	Warnings, Infos []string
	Data            T
}

// get sends a request to Prometheus. It returns an error if the response has a warning.
func get[T any](path string, query url.Values) (T, error) {
	var a response[T]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return a.Data, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a.Data, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a.Data, err
	}
	if a.Status != "success" || len(a.Warnings)+len(a.Infos) > 0 {
		return a.Data, fmt.Errorf("%s %s: %s %v %v", path, query, a.Error, a.Warnings, a.Infos)
	}
	return a.Data, nil
}

type result struct{ Result []sample }

// runQuery returns the current result of a query.
func runQuery(query string) ([]sample, error) {
	r, err := get[result]("query", url.Values{"query": {query}})
	return r.Result, err
}

// hasData returns whether the samples contain a number.
func hasData(samples []sample) bool {
	return slices.ContainsFunc(samples, func(s sample) bool {
		return !math.IsNaN(s.Value.value) || slices.ContainsFunc(s.Values, func(p point) bool { return !math.IsNaN(p.value) })
	})
}

// expectValue waits until a query returns one series with the value.
func expectValue(query string, want float64) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		samples, err := runQuery(query)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(samples).To(HaveLen(1), query)
		g.Expect(samples[0].Value.value).To(Equal(want), query)
	}).Should(Succeed())
}

func expectSubaccounts(labels series, n float64) {
	GinkgoHelper()
	expectValue("sum(subaccount_operator_subaccounts"+labels.String()+")", n)
}

// String returns the selector of the series.
func (s series) String() string {
	var matchers []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		matchers = append(matchers, fmt.Sprintf("%s=%q", name, s[name]))
	}
	return "{" + strings.Join(matchers, ",") + "}"
}
