# Requires Go, make, bash and git, and a C compiler for `make lint`. Everything else is pinned, and built or downloaded into the user's cache folder.
SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

MODULE  := github.com/subaccount-operator/subaccount-operator
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-dev)
# VERSION may omit the v.
override VERSION := v$(VERSION:v%=%)
IMG     ?= ghcr.io/subaccount-operator/subaccount-operator:$(VERSION)
SIM_IMG ?= ghcr.io/subaccount-operator/plivo-sim:$(VERSION)
KUBECTL ?= kubectl
# The tool that builds the images (docker, podman, buildah), and the platforms.
CONTAINER_TOOL ?= docker
PLATFORMS ?= linux/$(shell go env GOARCH)
# buildah needs no daemon and no registry, and its images are reproducible. buildah and podman need --manifest for several
# platforms; docker needs -t.
IMAGE_FLAGS := $(if $(filter buildah,$(CONTAINER_TOOL)),--isolation chroot --timestamp 0) $(if $(filter buildah podman,$(CONTAINER_TOOL)),--manifest,-t)
comma := ,

# With the same flags, tests, tools, programs and the control plane compile each package once, for all clones.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath

GO_BUILD := go build -ldflags "-s -w -X $(MODULE)/internal/version.version=$(VERSION)"
BIN      ?= bin
ASSETS   := go run ./hack/assets control-plane
TOOL     := go run ./hack/assets tool
SET_IMAGE = sed -e 's|image: ghcr.io/subaccount-operator/subaccount-operator:.*|image: $(IMG)|' \
	-e 's|image: ghcr.io/subaccount-operator/plivo-sim:.*|image: $(SIM_IMG)|'

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Development

.PHONY: generate
generate: ## Generate the deepcopy code, the apply configurations and the API reference.
	go tool controller-gen object applyconfiguration paths=./api/...
	@tool=$$($(TOOL) crd-ref-docs) && "$$tool" --config hack/apidocs.yaml --source-path api/v1alpha1 \
		--renderer markdown --output-path docs/spec/api.md --log-level ERROR

.PHONY: flags
flags: ## Write docs/flags.md from the manager's flags.
	UPDATE=1 go test -count=1 -run '^TestFlags_Document_IsCurrent$$' ./cmd

.PHONY: manifests
manifests: ## Generate the CRDs and the manager's ClusterRole from the markers in the code.
	go tool controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	go tool controller-gen rbac:roleName=manager-role paths=./internal/controller/... output:rbac:artifacts:config=config/rbac

CHART := charts/subaccount-operator
.PHONY: chart
chart: ## Copy the files of config/ that the Helm chart uses, and write its README from the comments in values.yaml.
	rm -rf $(CHART)/files
	mkdir -p $(CHART)/files/crds $(CHART)/files/rbac $(CHART)/files/admission $(CHART)/files/monitoring
	cp config/crd/bases/*.yaml $(CHART)/files/crds
	cp config/rbac/*role*.yaml $(CHART)/files/rbac
	cp config/admission/status_writers.yaml config/admission/secret_metadata.yaml config/adoption-policy/authid_namespaces.yaml $(CHART)/files/admission
	cp config/network-policy/manager.yaml $(CHART)/files/networkpolicy.yaml
	cp config/prometheus/monitor.yaml config/prometheus/rules.yaml config/grafana/dashboard.json $(CHART)/files/monitoring
	@tool=$$($(TOOL) helm-docs) && "$$tool" --chart-search-root $(CHART) --sort-values-order file --log-level warning

.PHONY: fmt
fmt: ## Format the code.
	gofmt -w $$(git ls-files -co --exclude-standard --deduplicate -- '*.go')

LICENSE_HEADER := -c '' -l apache -s=only $$(git ls-files -co --exclude-standard --deduplicate -- '*.go')
.PHONY: license
license: ## Add the SPDX license header to the Go files that lack it.
	@addlicense=$$($(TOOL) addlicense) && "$$addlicense" $(LICENSE_HEADER)

.PHONY: build
build: ## Build the programs into BIN (bin).
	$(GO_BUILD) -o $(BIN)/manager ./cmd
	$(GO_BUILD) -o $(BIN)/plivo-sim ./cmd/plivo-sim
	$(GO_BUILD) -o $(BIN)/kubectl-plivo ./cmd/kubectl-plivo

TEST_PROGRAMS := $(CURDIR)/bin/test
.PHONY: ready
ready: ## Download or build everything that make test needs, and say how long it takes.
	@go run ./hack/assets all
	@echo "==> programs and tests: seconds with a warm Go cache, else up to 10 minutes on two cores"
	@$(MAKE) --no-print-directory build BIN=$(TEST_PROGRAMS) VERSION=v9.8.7
	@go list -export -test -tags e2e,image ./... github.com/onsi/ginkgo/v2/ginkgo >/dev/null
	@go -C hack/supplychain list -export github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod >/dev/null

.PHONY: assets
assets: ## Find, download or build etcd, kube-apiserver, kubectl and kube-controller-manager, and print their folder.
	@$(ASSETS)

# WHAT is a list of packages (./test/integration), FOCUS a regular expression of specs or tests ('adopts').
.PHONY: test
test: ready ## Run the tests, 8 minutes on two cores. WHAT=./test/integration FOCUS=adopts runs a part.
	@assets=$$($(ASSETS)) && KUBEBUILDER_ASSETS="$$assets" TEST_PROGRAMS=$(TEST_PROGRAMS) \
		WHAT='$(WHAT)' FOCUS='$(FOCUS)' ./hack/test.sh

KUBERNETES ?= 1.32
.PHONY: test-compat
test-compat: ready ## Run the API rules, installation tests and integration suite on the control plane of KUBERNETES (1.32).
	@assets=$$($(ASSETS) -kubernetes $(KUBERNETES)) && "$$assets/kube-apiserver" --version && \
		KUBEBUILDER_ASSETS="$$assets" TEST_PROGRAMS=$(TEST_PROGRAMS) \
		WHAT='./api/v1alpha1 ./test/install ./test/integration' FOCUS='$(FOCUS)' ./hack/test.sh

.PHONY: test-unit
test-unit: ## Run the tests without a control plane, one minute.
	@./hack/test.sh unit

.PHONY: test-exhaustive
test-exhaustive: ready ## Inject every pair of faults, and every fault on a real API server; make test takes samples. 12 minutes on two cores.
	@assets=$$($(ASSETS)) && export KUBEBUILDER_ASSETS="$$assets" && \
		FAULT_PAIRS=all go test -vet=off -count=1 -timeout 90m -v ./test/faultinjection

.PHONY: test-mutants
test-mutants: ## Break the rules of the creation protocol one at a time and check that a test fails (hack/mutants), 2 minutes.
	go run ./hack/mutants

# go test runs one fuzz target at a time. Without a bound, it spends most of the time on minimizing.
FUZZTIME ?= 30s
FUZZ := go test -vet=off -run '^$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 10x

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s).
	$(FUZZ) -fuzz '^FuzzDecide$$' ./internal/plan
	$(FUZZ) -fuzz '^FuzzAnswers$$' ./internal/plivo

# E2E_SEED repeats a run, E2E_FOCUS selects specs by a regular expression, E2E_NAMESPACED=1 installs config/namespaced.
.PHONY: test-e2e
test-e2e: ready ## Run the end-to-end tests, about 5 minutes.
	@assets=$$($(ASSETS)) && export KUBEBUILDER_ASSETS="$$assets" TEST_PROGRAMS=$(TEST_PROGRAMS) && \
		E2E_SEED=$${E2E_SEED:-$$((RANDOM * 32768 + RANDOM + 1))} \
		go tool ginkgo run --procs=3 --tags=e2e --vet=off --timeout=30m --no-color -v --focus='$(E2E_FOCUS)' ./test/e2e

.PHONY: test-image
test-image: ## Build the images for two platforms and run them; needs buildah.
	@for arch in amd64 arm64; do GOOS=linux GOARCH=$$arch go list -export ./cmd ./cmd/plivo-sim >/dev/null || exit; done # no test compiles
	@assets=$$($(ASSETS)) && export KUBEBUILDER_ASSETS="$$assets" && \
		go test -vet=off -tags image -count=1 -timeout 60m -v ./test/image

.PHONY: test-node
test-node: ready ## Run the chart and the image on a real node; needs root, containerd, runc, buildah, iproute2 and containernetworking-plugins.
	@assets=$$($(ASSETS) etcd kube-apiserver kubectl kube-controller-manager kubelet) && export KUBEBUILDER_ASSETS="$$assets" && \
		go test -vet=off -tags node -count=1 -timeout 30m -v ./test/node

# Variables: N, ACCOUNTS (main accounts for N Subaccounts), LATENCY (of Plivo), RUNS and OUT (a folder).
.PHONY: bench
bench: ## Measure N=100,1000,5000,10000 and write docs/benchmarks.md, 75 minutes. BENCHTIME=smoke checks counts only, one minute.
	@assets=$$($(ASSETS)) && export KUBEBUILDER_ASSETS="$$assets" && \
		go run ./hack/bench

# Markdown, and Go code whose comments Vale reads. The rules are in .vale.ini and .vale/styles/Project.
PROSE := $(wildcard *.md) charts/subaccount-operator/README.md docs api cmd internal plivosim
.PHONY: lint
lint: ## Run Vale and misspell on prose, actionlint on workflows, kubeconform on samples, addlicense on license headers, and golangci-lint with kube-api-linter on code (built once, about 6 minutes).
	@vale=$$($(TOOL) vale) && \
		echo "==> Vale: Markdown and Go comments" && \
		"$$vale" $(PROSE)
	@misspell=$$($(TOOL) misspell) && \
		"$$misspell" -error README.md $$(git ls-files 'docs/*.md')
	@actionlint=$$($(TOOL) actionlint) && "$$actionlint"
	@# Kinds of other projects have no schema here; test/samples checks them against their CRDs.
	@kubeconform=$$($(TOOL) kubeconform) && mkdir -p bin/schemas && go run ./hack/schemas -out bin/schemas && \
		"$$kubeconform" -summary -ignore-missing-schemas -ignore-filename-pattern 'kustomization\.yaml$$' \
			-schema-location 'bin/schemas/{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' config/samples
	@addlicense=$$($(TOOL) addlicense) && "$$addlicense" -check $(LICENSE_HEADER)
	@go run ./hack/lint
	@linter=$$($(TOOL) golangci-lint) && \
		echo "==> golangci-lint: a minute or two without a cache" && \
		"$$linter" run

.PHONY: verify
verify: ## Check that generated files, formatting and go.mod files are up to date. Changes no file.
	@./hack/verify.sh

.PHONY: vuln
vuln: ## Check the dependencies against Go's vulnerability database, https://vuln.go.dev.
	go -C hack/supplychain tool govulncheck -C $(CURDIR) ./...

DIST ?= dist
SBOM := go -C hack/supplychain tool cyclonedx-gomod bin -json -std -version '$(VERSION)' -output
.PHONY: sbom
sbom: build ## Write the CycloneDX SBOMs of the manager and of plivo-sim (each the only file in its image) and of the kubectl plugin.
	@mkdir -p $(DIST)
	$(SBOM) $(abspath $(DIST)/sbom.json) $(abspath $(BIN)/manager)
	$(SBOM) $(abspath $(DIST)/sbom-kubectl-plivo.json) $(abspath $(BIN)/kubectl-plivo)
	$(SBOM) $(abspath $(DIST)/sbom-plivo-sim.json) $(abspath $(BIN)/plivo-sim)

.PHONY: reproducible
reproducible: ## Build the commit twice without caches and compare the files.
	@./hack/reproducible.sh

PLUGIN_PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
CHANGELOG ?= CHANGELOG.md
COSIGN_KEY ?=
COSIGN_PUB ?= $(COSIGN_KEY:.key=.pub)
.PHONY: release
release: ## Write the files of release VERSION (v1.2.3) into DIST (dist), signed if COSIGN_KEY is a key. make docker-build docker-build-simulator builds the images.
	@[[ '$(VERSION)' =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$$ ]] || { echo "release: VERSION must be like v1.2.3" >&2; exit 1; }
	@grep -q '^## \[$(VERSION:v%=%)\]' $(CHANGELOG) || { echo "release: $(CHANGELOG) has no section ## [$(VERSION:v%=%)]" >&2; exit 1; }
	rm -rf $(DIST) $(BIN)/release
	$(MAKE) --no-print-directory dist package sbom VERSION=$(VERSION)
	@set -e; for platform in $(PLUGIN_PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/} suffix=; \
		if [ $$os = windows ]; then suffix=.exe; fi; \
		echo "building kubectl-plivo for $$platform"; \
		GOOS=$$os GOARCH=$$arch $(GO_BUILD) -o $(BIN)/release/$${os}_$$arch/kubectl-plivo$$suffix ./cmd/kubectl-plivo; \
	done
	go run ./hack/release -version $(VERSION) -binaries $(BIN)/release -dist $(DIST)
	@$(if $(COSIGN_KEY),$(MAKE) --no-print-directory sign)
	@echo "release $(VERSION):" && ls -1 $(DIST)

# The transparency log is for keyless signatures, whose certificates are valid for minutes only. A signing configuration
# without a log, which cosign prefers to --tlog-upload, still needs the network.
.PHONY: sign
sign: ## Sign DIST/checksums.txt with COSIGN_KEY, without network access, and verify it with COSIGN_PUB (the key's .pub).
	@cosign=$$($(TOOL) cosign) && cd $(DIST) && \
		"$$cosign" sign-blob --key $(abspath $(COSIGN_KEY)) --use-signing-config=false --tlog-upload=false \
			--bundle checksums.txt.sigstore.json checksums.txt >/dev/null && \
		"$$cosign" verify-blob --key $(abspath $(COSIGN_PUB)) --insecure-ignore-tlog \
			--bundle checksums.txt.sigstore.json checksums.txt

.PHONY: run
run: ## Run the manager from source, with the simulator, against the cluster of the current kubeconfig.
	@KUBECTL='$(KUBECTL)' ./hack/run.sh

.PHONY: demo
demo: build ## Run a demo: a control plane, the simulated Plivo and the manager on this machine. ONCE=1 ends after the last step.
	@assets=$$($(ASSETS) etcd kube-apiserver kubectl) && export KUBEBUILDER_ASSETS="$$assets" && \
		ONCE='$(ONCE)' go run ./hack/demo

.PHONY: dist
dist: ## Write crds.yaml, their JSON schemas, and install.yaml and simulator.yaml with the images IMG and SIM_IMG, into DIST (dist).
	@mkdir -p $(DIST)
	@kubectl=$$($(ASSETS) kubectl)/kubectl && \
		"$$kubectl" kustomize config/crd >$(DIST)/crds.yaml && \
		"$$kubectl" kustomize config/install | $(SET_IMAGE) >$(DIST)/install.yaml && \
		"$$kubectl" kustomize config/simulator | $(SET_IMAGE) >$(DIST)/simulator.yaml
	@go run ./hack/schemas -out $(DIST)

.PHONY: package
package: ## Package the Helm chart with version VERSION into DIST (dist).
	@mkdir -p $(DIST)
	@helm=$$($(TOOL) helm) && copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && \
		go run ./hack/chart -version $(VERSION) -chart $(CHART) -changelog $(CHANGELOG) -out "$$copy/subaccount-operator" && \
		"$$helm" package "$$copy/subaccount-operator" --version $(VERSION:v%=%) --app-version $(VERSION) --destination $(DIST)

.PHONY: clean
clean: ## Remove bin/, but not the cache folder.
	rm -rf bin

##@ A cluster (the one that kubectl points to)

.PHONY: install
install: ## Install the CRDs.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: ## Remove the CRDs. The manager must be running: it removes the finalizers and deletes nothing at Plivo.
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: ## Install the CRDs and the manager with the image IMG.
	$(KUBECTL) kustomize config/default | $(SET_IMAGE) | \
		$(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove the CRDs, so that the manager removes the finalizers, and then everything else.
	$(KUBECTL) delete --ignore-not-found -k config/crd
	$(KUBECTL) delete --ignore-not-found -k config/default

# The Dockerfile has a target for each program.
PROGRAM ?= manager
.PHONY: docker-build
docker-build: ## Build the image IMG, for PLATFORMS (linux/amd64,linux/arm64), with CONTAINER_TOOL, on BASE (scratch).
	rm -rf bin/image
	@set -e; for platform in $(subst $(comma), ,$(PLATFORMS)); do \
		echo "building bin/image/$$platform/$(PROGRAM)"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO_BUILD) -o bin/image/$$platform/$(PROGRAM) $(patsubst ./cmd/manager,./cmd,./cmd/$(PROGRAM)); \
	done
	@# buildah and podman add to an existing manifest list. Some versions cannot remove it by rmi.
	@$(if $(filter buildah podman,$(CONTAINER_TOOL)),{ $(CONTAINER_TOOL) manifest rm $(IMG) || $(CONTAINER_TOOL) rmi -f $(IMG); } >/dev/null 2>&1 || true)
	$(CONTAINER_TOOL) build --platform $(PLATFORMS) --target $(PROGRAM) --build-arg VERSION=$(VERSION) $(if $(BASE),--build-arg BASE=$(BASE)) $(IMAGE_FLAGS) $(IMG) .

.PHONY: docker-build-simulator
docker-build-simulator: ## Build the image SIM_IMG of plivo-sim, as docker-build does.
	@$(MAKE) --no-print-directory docker-build PROGRAM=plivo-sim IMG='$(SIM_IMG)'
