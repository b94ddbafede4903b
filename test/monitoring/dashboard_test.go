// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
)

// dashboard contains the fields of Grafana's dashboard model that the tests read.
type dashboard struct {
	Title      string
	Templating struct {
		List []struct {
			Name, Type, Definition string
		}
	}
	Panels []panel
}

type panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Custom     struct{ Stacking struct{ Mode string } }
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
		Overrides []struct {
			Matcher    struct{ Options string }
			Properties []struct {
				ID    string
				Value struct{ FixedColor string }
			}
		}
	}
}

type target struct{ Expr, LegendFormat string }

func readDashboard() dashboard {
	data, err := os.ReadFile(filepath.Join(root, "config", "grafana", "dashboard.json"))
	Expect(err).NotTo(HaveOccurred())
	var d dashboard
	Expect(json.Unmarshal(data, &d)).To(Succeed())
	return d
}

// withVariables replaces a query's variables as Grafana does if the user selects All.
func withVariables(query string) string {
	query = strings.NewReplacer("$namespace", ".*", "$job", ".*", "$account", ".*", "$__rate_interval", "30s").Replace(query)
	Expect(query).NotTo(ContainSubstring("$"), "the query must use only the dashboard's variables")
	return query
}
