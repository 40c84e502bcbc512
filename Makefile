# Everything a person or the CI runs; `make` alone lists it. Recipes take what a
# person sets from the environment, quoted, so any path works, spaces included.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

MODULES  := schemas client services devstack devstack/engine examples
PACKAGES := $(MODULES:%=./%/...)

export DATA_DIR ?= .mailstream
export CONFIG   ?=
export FUZZTIME ?= 10s

# Two packages at a time: a package that starts the engine takes about 1 GiB, the
# largest four of them. Within one, eight tests at a time whatever the number of
# processors, since most wait. `make check` vets everything. The order is random. The
# longest package takes some 3 minutes alone, and 18 on a machine with a load of 40.
# Without tables for debuggers, which no test reads, linking takes a third less.
TEST := go test -vet=off -ldflags=-w -p 2 -parallel 8 -shuffle=on -timeout 30m

# `make test` keeps the order, so that Go has the result of a package that passed and
# whose code, variables and files are the same. FRESH=1, as in CI, runs all at random.
KEPT := $(if $(FRESH),$(TEST) -count=1,$(filter-out -shuffle=on,$(TEST)))

# Go compares the files inside a package's module alone. For packages that read others,
# or run programs, a hash of the whole checkout is part of an argument (a test of that
# name there is not), so that they run whenever any file differs.
OUTSIDE = $(shell grep -rlE --include='*.go' '["`]\.\.["`/]|exec\.Command' $(MODULES) \
	| grep -vE '/testdata/|^devstack/(lint|promtest|alertmanager)/' | xargs -n1 dirname | sort -u)
CHECKOUT = $(shell git rev-parse --verify --quiet HEAD >/dev/null && git ls-files -co --exclude-standard -z \
	| { xargs -0 sha256sum 2>/dev/null || true; } | sha256sum | cut -c1-16 || date +%s%N)
WHOLE = -skip checkout-$(CHECKOUT)

# Tests keep their files in memory where there is plenty: 12 GiB free, 4 of it for files, of
# which the largest package has 0.6 at once. The engine makes very many small ones, which
# on a disk take a fifth of its processor time. What go itself builds stays on the disk. A
# checkout always has the same folder, since Go keeps results by its name. What is an hour
# old there is of a run that was killed.
IN_MEMORY := $(shell test "$$(awk '/^MemAvailable:/ {print $$2}' /proc/meminfo 2>/dev/null)" -gt 12582912 2>/dev/null \
	&& test "$$(df -k /dev/shm 2>/dev/null | awk 'END {print $$4}')" -gt 4194304 2>/dev/null && test -w /dev/shm \
	&& echo "/dev/shm/mailstream-$$(pwd | cksum | cut -d' ' -f1)")
ifneq ($(IN_MEMORY),)
test race: export GOTMPDIR := $(or $(GOTMPDIR),$(TMPDIR),/tmp)
test race: export TMPDIR := $(IN_MEMORY)
endif
SCRATCH = mkdir -p "$${TMPDIR:-/tmp}"; test -z '$(IN_MEMORY)' || find '$(IN_MEMORY)' -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} +

# The longest runs first, beside each other, instead of alone at the end; what has a
# deadline of its own then runs beside smaller ones.
LONGEST := ./devstack/test/e2e ./devstack/test/analyticstest

.PHONY: help dev quick check test test-browser test-kafka test-sql race fuzz bench lint gen check-alone image clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

dev: ## the whole stack in the foreground; DATA_DIR=.mailstream CONFIG=file.yaml
	@echo 'building bin/devstack and bin/mailstream (the first build takes some minutes)'
	@mkdir -p bin
	@go build -o bin/ ./devstack/cmd/devstack ./services/cmd/mailstream
	@exec bin/devstack --data-dir "$$DATA_DIR" $${CONFIG:+--config "$$CONFIG"}

quick: ## the inner loop: style, vet and tests of the packages that differ from BASE (default: what is pushed, else the last commit)
	@upstream='@{upstream}'; base=$$(git rev-parse --verify --quiet "$${BASE:-$$upstream}^{commit}" 2>/dev/null) \
	  || { test -z "$${BASE:-}" || { echo "BASE=$$BASE is not a commit or branch here"; exit 1; }; base=$$(git rev-parse HEAD); }; \
	packages=$$({ git diff --name-only --diff-filter=d "$$(git merge-base HEAD "$$base")"; git ls-files -o --exclude-standard; } \
	  | sed -nE '/^devstack\/(lint|promtest|alertmanager)\//d; s,/testdata/.*,/x,; s,/[^/]*$$,,p' | sort -u | while read -r folder; do \
	      ! compgen -G "$$folder/*.go" >/dev/null || echo "./$$folder"; done); \
	unformatted=$$(gofmt -s -l $(MODULES)); test -z "$$unformatted" || { echo "run gofmt -s -w on:"; echo "$$unformatted"; exit 1; }; \
	go test -count=1 ./devstack/tidy; \
	test -z "$$packages" || { go vet $$packages; $(TEST) $$packages; }

check: gen lint check-alone ## generated files, format, vet, lint, style, schemas, rules of Prometheus, each module alone
	@echo '== alerting rules of Prometheus' # a module of its own, see docs/decisions/0011
	@cd devstack/promtest && export GOWORK=off && go vet ./... && go test -count=1 ./... && go mod tidy -diff
	@echo '== the receiver of Alertmanager against the real one (the first build takes some minutes)' # a module of its own, as above
	@mkdir -p bin
	@cd devstack/alertmanager && export GOWORK=off && go build -o ../../bin/alertmanager github.com/prometheus/alertmanager/cmd/alertmanager && go mod tidy -diff
	@ALERTMANAGER="$$PWD/bin/alertmanager" go test -count=1 -tags alertmanager ./services/alerting/internal/receiver/alertmanager
	@echo '== each linter finds what it is for'
	@cd devstack/lint && export GOWORK=off && go vet ./... && go test -count=1 ./...
	@echo '== style, schemas against samples'
	@go test -count=1 ./devstack/tidy ./schemas/...

test: ## every test that needs neither Docker nor a JVM; what passed and did not change is not run but with FRESH=1
	@$(SCRATCH)
	@go run ./devstack/cmd/fetch
	@outside=$$(go list $(LONGEST) $(OUTSIDE:%=./%) | awk '!seen[$$0]++' | grep -v /attacktest); \
	inside=$$(go list ./devstack/test/alertingtest $(PACKAGES) | awk '!seen[$$0]++' | grep -vxF -e "$$outside" | grep -v /attacktest); \
	failed=0; $(KEPT) $(WHOLE) $$outside || failed=1; $(KEPT) $$inside || failed=1; exit $$failed
	$(KEPT) $(WHOLE) ./devstack/test/attacktest # compares times, so nothing runs beside it

test-browser: ## the pages of the console in a real Chromium, which has to be installed; PICTURES=folder for pictures of them
	@go run ./devstack/cmd/fetch
	@export PICTURES="$${PICTURES:+$$(realpath -m "$$PICTURES")}"; $(TEST) -parallel 4 -count=1 -tags browser ./devstack/test/browsertest

test-kafka: ## end to end on Apache Kafka; KAFKA_BROKERS=host:port for one that runs
	@go run ./devstack/cmd/fetch
	$(TEST) -p 1 -v -tags kafka ./devstack/test/e2e/... ./devstack/apachekafka/... ./devstack/test/deploytest/...
	$(TEST) -p 1 -v -tags kafka -run '^Test(Replay|Redrive|Reclassify|Forget|Operations)_' ./devstack/test/analyticstest # a broker for each

test-sql: ## SQL clients of Python and Java, and other versions of ClickHouse; needs python3 with pip, Java, Maven
	@go run ./devstack/cmd/fetch
	$(TEST) -p 1 -v -tags sql -run "Lines|Python|Java" ./devstack/test/sqlclients/... ./devstack/test/analyticstest/...

race: ## the same tests as `make test` under the race detector, but those of time
	@$(SCRATCH)
	@go run ./devstack/cmd/fetch
	$(TEST) -race $$(go list $(LONGEST) $(PACKAGES) | grep -v /attacktest)

fuzz: ## every fuzz target for FUZZTIME=10s each
	@failed=0; \
	while IFS=: read -r file name; do \
	  echo "== $$name in $${file%/*}"; \
	  go test -run '^$$' -fuzz "^$$name\$$" -fuzztime "$$FUZZTIME" "./$${file%/*}" || failed=1; \
	done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' $(MODULES) | sed 's/:func /:/' | sort -u); \
	exit $$failed

bench: ## the numbers of the budget table, each beside its reference
	@echo 'parsers: us/KiB against a budget of 4, and how many times as long encoding/json into maps takes'
	@go test -run '^$$' -bench '^BenchmarkDecode$$' ./services/internal/provider/... | grep '^Benchmark'
	@echo 'classifier: a reply against a budget of 2 us and no allocation, then its rates on the corpora'
	@go test -run '^$$' -bench '^Benchmark(Classify|Rates)$$' ./services/internal/classify | grep -E '^(BenchmarkClassify|rates)'
	@echo 'forgetting: a hundred people among a million events, until no file has any form of their addresses'
	@go test -run '^$$' -bench '^BenchmarkForget$$' -benchtime 1x ./devstack/test/analyticstest | grep '^Benchmark'
	@echo 'alerting: what a quiet key takes, of a million, against a budget of 200 B'
	@go test -run '^$$' -bench '^BenchmarkQuietKeys$$' -benchtime 1x ./services/alerting/internal/window | grep '^Benchmark'
	@mkdir -p bin
	@go build -o bin/ ./devstack/cmd/bench
	@exec bin/bench

lint: ## gofmt, go vet, golangci-lint, deadcode, actionlint
	@echo '== gofmt'
	@unformatted=$$(gofmt -s -l $(MODULES)); test -z "$$unformatted" || { echo "run gofmt -s -w on:"; echo "$$unformatted"; exit 1; }
	@echo '== go vet'
	@go vet $(PACKAGES)
	@go vet -tags kafka,sql,browser ./devstack/...
	@echo '== golangci-lint (the first build takes some minutes)' # a separate module, see docs/decisions/0017
	@linter=$$(cd devstack/lint && GOWORK=off go tool -n golangci-lint); "$$linter" run --show-stats=false $(PACKAGES)
	@echo '== deadcode'
	@deadcode=$$(cd devstack/lint && GOWORK=off go tool -n deadcode); \
	found=$$("$$deadcode" -tags kafka,sql,browser -test $(PACKAGES)); \
	dead=$$(grep -v '_test\.go:' <<< "$$found" || true); test -z "$$dead" || { echo "nothing calls these, not even a test:"; echo "$$dead"; exit 1; }
	@echo '== actionlint' # without programs that may be installed or not
	@actionlint=$$(cd devstack/lint && GOWORK=off go tool -n actionlint); "$$actionlint" -shellcheck= -pyflakes= .github/workflows/*.yml

gen: ## write generated files again; inside a checkout, fail when one was stale
	@echo '== generated files'
	@changed() { git ls-files -mo --exclude-standard -z 2>/dev/null | xargs -0r sha256sum 2>/dev/null || true; }; \
	before=$$(changed); \
	go generate $(PACKAGES); \
	after=$$(changed); \
	test "$$before" = "$$after" || { diff <(echo "$$before") <(echo "$$after"); echo 'these files were stale; they are fresh now'; exit 1; }

check-alone: ## each module builds, and its go.mod is tidy, without the workspace
	@failed=; \
	for module in $(MODULES); do \
	  echo "== $$module alone"; \
	  (cd "$$module" && GOWORK=off go build -o /dev/null ./... && GOWORK=off go mod tidy -diff) || failed+=" $$module"; \
	done; \
	test -z "$$failed" || { echo "these modules do not build without the workspace:$$failed (run go mod tidy there, then look)"; exit 1; }

image: ## the container image of the services
	docker build -f deploy/Dockerfile -t mailstream:dev .

clean: ## remove what was built; data in DATA_DIR stays
	rm -rf bin
