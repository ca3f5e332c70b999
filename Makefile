# The main targets: `make demo` shows ferry at work, `make test` runs all checks.

.DEFAULT_GOAL := help
.PHONY: help build kratos hydra demo test prereqs prereqs-demo vet platforms lint unit manifests fuzz hostile requests browser openid apps gateway faults remints changes bench load soak readme mixin numbers snapshot release-tools clean

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LINT     = $(GO) tool -modfile=tools/go.mod golangci-lint
HEADING  = @printf '\n== %s\n'

# The version is set by -ldflags below, so that a source tree without a usable .git
# builds as well.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

build: ## ferry, auth0sim and demo, into build/
	@mkdir -p build
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o build/ ./cmd/...

kratos: ## build Kratos from its module (two minutes, once)
	$(GO) run ./test/program/build kratos

hydra: ## build Hydra from its module (some minutes, once)
	$(GO) run ./test/program/build hydra

demo: prereqs-demo build kratos hydra ## migrate some users, narrated; KEEP=1 leaves everything running
	@exec build/demo

test: ## all checks: build, linters, all tests, fuzzing
	$(HEADING) 'prerequisites'
	@$(MAKE) --no-print-directory prereqs
	$(HEADING) 'build'
	@$(MAKE) --no-print-directory build
	$(HEADING) 'other systems (the first run compiles everything: minutes)'
	@$(MAKE) --no-print-directory platforms
	$(HEADING) 'lint and format (the first run builds the linter: minutes)'
	@$(MAKE) --no-print-directory lint
	$(HEADING) 'Kratos and Hydra (the first run builds them: minutes)'
	@$(MAKE) --no-print-directory kratos hydra
	$(HEADING) 'tests with the programs'
	@$(MAKE) --no-print-directory programs
	$(HEADING) 'all other tests, with the race detector'
	@$(MAKE) --no-print-directory unit
	$(HEADING) 'hostile answers, generated submissions, fuzzing'
	@$(MAKE) --no-print-directory -j2 hostile generated

prereqs-demo:
	@sh scripts/prereqs.sh demo

prereqs: ## check the prerequisites; as root on Debian, install them
	@sh scripts/prereqs.sh

vet: ## go vet; `make lint` contains it
	$(GO) vet -tags apps,browser,openid ./...
	cd test/deploy && $(GO) vet ./...

platforms: ## compile ferry for other systems, without linking (the first run compiles everything: minutes)
	for platform in windows/amd64 darwin/arm64 linux/arm64; do \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build ./cmd/ferry ./config || exit 1; \
	done

lint: ## the linters and gofumpt; `make lint FIX=1` fixes what can be fixed
	$(LINT) run $(if $(FIX),--fix) ./...
	cd test/deploy && $(GO) tool -modfile=../../tools/go.mod golangci-lint run $(if $(FIX),--fix) ./...

# These tests drive ferry, Kratos and others as programs, in which the race detector of the
# test would see nothing. The longest come first. They wait more than they compute.
PROGRAMS = load bulk e2e faults readme attack demo finish clients compose cases docker mixin
WAITING  = $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))

programs: ## the tests that drive programs
	$(GO) test -shuffle=on -timeout=40m -p $(WAITING) $(PROGRAMS:%=./test/%)

races: ## the same tests with the race detector, in ferry as well: longer than `make test`
	FERRY_TEST_RACE=1 $(GO) test -race -shuffle=on -timeout=90m $(PROGRAMS:%=./test/%)

unit: ## all other tests, with the race detector
	$(GO) test -race -shuffle=on -timeout=40m $$($(GO) list ./... | grep -vxF "$$(printf 'ferry/test/%s\n' $(PROGRAMS))")

generated:
	@$(MAKE) --no-print-directory requests
	@$(MAKE) --no-print-directory fuzz
	$(HEADING) 'deploy/ (the first run builds the libraries of Helm and Kubernetes: minutes)'
	@$(MAKE) --no-print-directory manifests

manifests: ## check deploy/ with the libraries of Helm, Kubernetes and Docker Compose (the first run builds them: minutes)
	cd test/deploy && $(GO) test -shuffle=on -timeout=20m ./...

fuzz: ## every fuzz target for FUZZTIME (5s)
	@sh scripts/fuzz.sh

HOSTILE ?= 1000000

hostile: ## HOSTILE (1000000) generated answers of Auth0: none may become a match
	HOSTILE=$(HOSTILE) $(GO) test -count=1 -timeout=60m -v -run='^TestHostileAnswers$$' ./upstream

REQUESTS ?= 300000

requests: ## REQUESTS (300000) generated submissions: ferry sees nothing that Kratos does not
	REQUESTS=$(REQUESTS) $(GO) test -count=1 -timeout=120m -v -run='^TestGeneratedRequests$$' ./gateway/submit

browser: ## Chromium through the gateway, and on the page; FERRY_SCREENSHOTS=DIR takes pictures
	@sh scripts/prereqs.sh browser
	cd test/browser && npm ci
	$(GO) test -tags browser -count=1 -timeout=15m ./test/browser

openid: ## the bridge through an OpenID provider by others (needs Node and npm)
	@sh scripts/prereqs.sh openid
	cd test/openid && npm ci
	$(GO) test -tags openid -count=1 -timeout=15m ./test/openid

apps: ## npm's auth0 and openid-client from Auth0 to Hydra (needs Node and npm)
	@sh scripts/prereqs.sh apps
	cd test/apps && npm ci
	$(GO) test -tags apps -count=1 -timeout=15m -run=TestNode ./test/apps

gateway: ## the end-to-end tests again, with all users going through the gateway
	FERRY_TEST_GATEWAY=1 $(GO) test -count=1 -timeout=30m ./test/e2e

remints: ## 1,000 applications refresh while connections break and ferry is killed: some three minutes
	FERRY_REMINTS=1000 $(GO) test -count=1 -timeout=60m -v -run=TestRemints ./test/faults

faults: ## faults, kills and histories for longer than in `make test`: some ten minutes
	FERRY_STORM=1m FERRY_KILL_LOGINS=1000 FERRY_HISTORIES=2m $(GO) test -count=1 -timeout=60m -v -run='Storms|Kill|Histories' ./test/faults

load: ## ferry under load, beside a bare handler and nginx: five minutes; LOAD='--help' explains
	$(GO) run ./test/load $(LOAD)

SOAK ?= 1h

soak: ## logins at a constant rate for SOAK (1h): memory, descriptors and goroutines must not grow
	$(GO) run ./test/load --only= --soak=$(SOAK) $(LOAD)

changes: ## 500 changes at Auth0 and an undo with all users; `make test` has fewer
	FERRY_ALL_USERS=1 $(GO) test -count=1 -timeout=30m -run='^(TestChangesAtAuth0|TestUndo)$$' ./test/bulk

numbers: ## 1,000 users cross: metrics, plan and page have Kratos' numbers; `make test` has 150
	FERRY_CROSSINGS=1000 $(GO) test -count=1 -timeout=30m -v -run='^TestNumbers$$' ./test/e2e

bench: ## all benchmarks
	$(GO) test -run='^$$' -bench=. -benchmem ./...

# Newer releases of goreleaser need a newer Go.
GORELEASER = github.com/goreleaser/goreleaser/v2@v2.17.1
CYCLONEDX  = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

snapshot: release-tools ## all files of a release into build/dist, without publishing, and checked (the first run builds goreleaser and compiles everything: many minutes)
	@sh scripts/prereqs.sh snapshot
	PATH="$(CURDIR)/build/tools:$$PATH" && goreleaser check && goreleaser release --clean --snapshot
	@sh scripts/check-release.sh build/dist

release-tools: # goreleaser and cyclonedx-gomod, into build/tools
	GOBIN="$(CURDIR)/build/tools" $(GO) install $(GORELEASER)
	GOBIN="$(CURDIR)/build/tools" $(GO) install $(CYCLONEDX)

readme: ## write the generated pages: docs/settings.md, docs/answers.md, the metrics in docs/monitoring.md
	$(GO) test ./config ./test/docs ./wiring -run 'TestReadme|TestAnswers|TestExample' -update

mixin: ## render deploy/mixin into deploy/prometheus, deploy/grafana and docs/operations.md
	$(GO) test ./test/mixin -run 'TestFormatted|TestRendered|TestRunbook' -update

clean: ## remove build/
	rm -rf build
