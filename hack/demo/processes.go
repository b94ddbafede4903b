package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/subaccount-operator/subaccount-operator/test/devplane"
)

// demo is what the tour runs on.
type demo struct {
	root, dir string
	plane     *devplane.Plane
	sim       string // URL of the simulated Plivo
	children  []*exec.Cmd
}

// start starts the simulator and the manager from bin/.
func (d *demo) start(ctx context.Context) error {
	say("Starting a simulated Plivo, with Plivo's own limit of 300 requests per 5 s, and the manager ...")
	// The credentials are those of config/samples/credentials.yaml.
	sim := exec.Command(filepath.Join(d.root, "bin", "plivo-sim"), "--listen", "127.0.0.1:0", "--rate-limit", "300",
		"--latency", "20ms", "--account", mainAccount+":the-token-from-the-plivo-console")
	out, err := sim.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.run(sim); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("plivo-sim: %w", err)
	}
	d.sim = strings.TrimSpace(strings.TrimPrefix(line, "plivo-sim listening on "))
	if err := d.quietly(ctx, "apply", "-f", filepath.Join(d.root, "config", "crd", "bases")); err != nil {
		return err
	}
	if err := d.quietly(ctx, "create", "namespace", "subaccount-operator-system"); err != nil {
		return err
	}
	log, err := os.Create(d.managerLog())
	if err != nil {
		return err
	}
	manager := exec.Command(filepath.Join(d.root, "bin", "manager"), "--plivo-base-url", d.sim,
		"--health-probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "0")
	manager.Env = append(os.Environ(), "KUBECONFIG="+d.plane.Kubeconfig, "POD_NAMESPACE=subaccount-operator-system")
	manager.Stdout, manager.Stderr = log, log
	return d.run(manager)
}

func (d *demo) run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	d.children = append(d.children, cmd)
	return nil
}

// stop ends the children, the manager first.
func (d *demo) stop() {
	for i := len(d.children) - 1; i >= 0; i-- {
		_ = d.children[i].Process.Signal(syscall.SIGTERM)
		_ = d.children[i].Wait()
	}
}

func (d *demo) managerLog() string { return filepath.Join(d.dir, "manager.log") }

func (d *demo) logTail() string {
	data, _ := os.ReadFile(d.managerLog())
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// kubectl runs the control plane's kubectl and returns what it prints.
func (d *demo) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.plane.Kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.plane.Kubeconfig)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

func (d *demo) quietly(ctx context.Context, args ...string) error {
	_, err := d.kubectl(ctx, "", args...)
	return err
}

// show runs a command as a user would and prints both.
func (d *demo) show(ctx context.Context, args ...string) error {
	shown := make([]string, len(args))
	for i, a := range args {
		if shown[i] = a; strings.ContainsAny(a, " {}'\"[]*") {
			shown[i] = "'" + a + "'"
		}
	}
	say("   $ kubectl %s", strings.Join(shown, " "))
	out, err := d.kubectl(ctx, "", args...)
	for line := range strings.Lines(out) {
		fmt.Print("   " + line)
	}
	return err
}

// atPlivo calls the simulator's control endpoint.
func (d *demo) atPlivo(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.sim+"/_sim/"+path, reader)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return errors.Join(err, fmt.Errorf("%s %s: HTTP %d: %s", method, path, resp.StatusCode, data))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// until asks again and again until check is content, for a minute at most.
func (d *demo) until(ctx context.Context, what string, check func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ok, err := check()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited a minute in vain: %s", what), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
