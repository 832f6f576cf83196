# spamsensor: make demo shows what it does, make test checks that it does.

GO ?= go
export GOFLAGS := -buildvcs=false

.PHONY: demo build test vet unit setup golden bench servers fuzz fuzz-short reliability clean

# The main job: a recorded capture in, a finding with its reasons out.
demo: build
	./bin/spamsensor read sensor/testdata/bot.pcap

build: setup
	$(GO) build -o bin/spamsensor ./sensor

# libpcap's headers, the only thing that is not a Go module.
setup:
	@sh .ci/setup

test: setup vet unit fuzz-short

vet:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) tool revive -config revive.toml ./...
	@find . -name '*.go' -o -name '*.md' | xargs $(GO) tool misspell -error

# Without the race detector where there is one goroutine and much to compute.
SINGLE = ./smtpsniff/... ./sensor/detect ./sensor/wire/... ./bench/servers ./bench/campaign/... ./bench/reliability
# Tests of one goroutine, too, in packages that have others.
SLOW = ^(TestLinearFrames|TestMutants|TestNothingLeaks|TestFraming|TestNoFraming|TestAbsurdTimes|TestEvasion|TestRotation|TestNoRotation|TestDamage|TestAnyDamage)$$
unit:
	$(GO) test -race -timeout 12m -skip '$(SLOW)' $(filter-out $(shell $(GO) list $(SINGLE)),$(shell $(GO) list ./...))
	$(GO) test -timeout 12m -run '$(SLOW)' ./sensor ./sensor/engine ./sensor/state
	$(GO) test -timeout 12m $(SINGLE)

# Results that stay as they are, byte for byte, while only the structure of the code changes; after
# a change that is meant to change them: sh .ci/golden update
golden: setup
	sh .ci/golden

# Speed: of every stage, and of the whole beside the other tools that are installed. The
# workloads (3.9 GB) are made once, outside the tree; BENCH_MB=300 makes smaller ones, BENCH_ARGS
# are options of compare.
BENCH_DIR ?= $(or $(TMPDIR),/tmp)/spamsensor-bench
BENCH_MB ?= 0
BENCH_ARGS ?=
WORKLOADS = $(addprefix $(BENCH_DIR)/,w1.pcap w2.pcap w3.pcap)

bench: setup $(WORKLOADS)
	$(GO) test -run '^$$' -bench . ./...
	$(GO) run ./bench compare $(BENCH_ARGS) $(WORKLOADS)

$(BENCH_DIR)/%.pcap:
	@mkdir -p $(BENCH_DIR)
	$(GO) run ./bench generate -mb $(BENCH_MB) $* $@.part
	@mv $@.part $@

# Every fuzz target, one after the other: make fuzz FUZZTIME=1h
FUZZTIME ?= 10m
fuzz: setup
	sh .ci/fuzz $(FUZZTIME)

fuzz-short:
	sh .ci/fuzz 3s

# The figures of the goals of reliability, beside the goals: make reliability LONG=-long
reliability: setup
	$(GO) run ./bench/reliability $(LONG)

# The detectors of mail servers on simulated years, and a sensor that is killed 100 times.
servers: build
	$(GO) run ./bench/servers
	SPAMSENSOR_KILLS=100 $(GO) test ./sensor -run 'TestKill$$' -v

clean:
	rm -rf bin
