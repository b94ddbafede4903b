// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const managerLog = "manager.log"

// manager is a process of the manager's binary.
type manager struct {
	*process.Process
	metrics string // URL
}

func (w *world) startManager(context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	metrics := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(w.dir, managerLog))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the manager has its own handle
	m := &manager{metrics: "http://" + metrics + "/metrics"}
	m.Process, err = process.Start(log, []string{"KUBECONFIG=" + w.plane.Kubeconfig},
		w.programs.manager, "--plivo-base-url", w.plivo.URL, "--operator-namespace", operatorNamespace,
		"--health-probe-bind-address", "0", "--metrics-bind-address", metrics, "--metrics-secure=false")
	if err == nil {
		w.manager = m
	}
	return err
}

// proc reads a file of the manager's folder in /proc.
func (m *manager) proc(name string) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.PID(), name))
	return string(content), err
}

// memory returns the current and the peak resident memory, in MiB.
func (m *manager) memory() (now, peak float64, err error) {
	status, err := m.proc("status")
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "VmRSS:":
			now, err = strconv.ParseFloat(fields[1], 64)
		case fields[0] == "VmHWM:":
			peak, err = strconv.ParseFloat(fields[1], 64)
		}
	}
	return now / 1024, peak / 1024, err
}

// clockTick is the unit of the CPU times in /proc on every Linux platform.
const clockTick = 10 * time.Millisecond

// cpu returns the CPU time so far, user and system.
func (m *manager) cpu() (time.Duration, error) {
	stat, err := m.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, is the only field that may have spaces in it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat: %q", stat)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// activity is what the manager has done in the cluster, measured in two places.
type activity struct {
	sent        float64 // writes, counted by the manager's client
	taken       float64 // writes of Subaccounts, Accounts, Secrets and events, counted by the API server
	subaccounts float64 // reconciles of Subaccounts
	accounts    float64
}

func (a activity) reconciles() float64 { return a.subaccounts + a.accounts }

// writes returns the number of writes since then: the larger of the two counts.
func (a activity) writes(since activity) float64 {
	return max(a.sent-since.sent, a.taken-since.taken)
}

func (w *world) activity(ctx context.Context) (activity, error) {
	own, err := scrape(ctx, http.DefaultClient, w.manager.metrics)
	if err != nil {
		return activity{}, err
	}
	admin, err := rest.HTTPClientFor(w.plane.Config)
	if err != nil {
		return activity{}, err
	}
	server, err := scrape(ctx, admin, strings.TrimSuffix(w.plane.Config.Host, "/")+"/metrics")
	return activity{
		sent: own.sum("rest_client_requests_total", `method="POST"`) + own.sum("rest_client_requests_total", `method="PUT"`) +
			own.sum("rest_client_requests_total", `method="PATCH"`) + own.sum("rest_client_requests_total", `method="DELETE"`),
		taken:       server.taken(),
		subaccounts: own.sum("controller_runtime_reconcile_total", `controller="subaccount"`),
		accounts:    own.sum("controller_runtime_reconcile_total", `controller="account"`),
	}, err
}

// samples maps the names of metrics, with labels, to their values.
type samples map[string]float64

func scrape(ctx context.Context, by *http.Client, url string) (samples, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := by.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s: %s: %s", url, resp.Status, answer)
	}
	all := samples{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		if value, err := strconv.ParseFloat(line[end+1:], 64); err == nil {
			all[line[:end]] = value
		}
	}
	return all, nil
}

// sum adds the samples of a metric that have a label.
func (s samples) sum(name, label string) float64 {
	total := 0.0
	for key, value := range s {
		if strings.HasPrefix(key, name+"{") && strings.Contains(key, label) {
			total += value
		}
	}
	return total
}

// taken counts the writes of the operator's objects at the API server.
func (s samples) taken() float64 {
	total := 0.0
	for key, value := range s {
		if !strings.HasPrefix(key, "apiserver_request_total{") {
			continue
		}
		ours := false
		for _, resource := range []string{"subaccounts", "accounts", "secrets", "events"} {
			ours = ours || strings.Contains(key, `resource="`+resource+`"`)
		}
		for _, verb := range []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"} {
			if ours && strings.Contains(key, `verb="`+verb+`"`) {
				total += value
			}
		}
	}
	return total
}
