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

// series are labels.
type series map[string]string

// sample is a value, or values over time, of a series.
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

// answer is what Prometheus' HTTP API answers.
type answer[T any] struct {
	Status, Error   string
	Warnings, Infos []string
	Data            T
}

// get asks for what must be answered without a warning.
func get[T any](path string, query url.Values) (T, error) {
	var a answer[T]
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

// ask returns what a query gives at this moment.
func ask(query string) ([]sample, error) {
	r, err := get[result]("query", url.Values{"query": {query}})
	return r.Result, err
}

// hasData says whether there is a number among the samples.
func hasData(samples []sample) bool {
	return slices.ContainsFunc(samples, func(s sample) bool {
		return !math.IsNaN(s.Value.value) || slices.ContainsFunc(s.Values, func(p point) bool { return !math.IsNaN(p.value) })
	})
}

// become waits until a query gives one series of a value.
func become(query string, want float64) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		samples, err := ask(query)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(samples).To(HaveLen(1), query)
		g.Expect(samples[0].Value.value).To(Equal(want), query)
	}).Should(Succeed())
}

func subaccountsBecome(labels series, n float64) {
	GinkgoHelper()
	become("sum(subaccount_operator_subaccounts"+labels.String()+")", n)
}

// String is a selector of the series.
func (s series) String() string {
	var matchers []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		matchers = append(matchers, fmt.Sprintf("%s=%q", name, s[name]))
	}
	return "{" + strings.Join(matchers, ",") + "}"
}
