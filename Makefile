# spamsensor: make demo shows what it does, make test checks that it does.

GO ?= go
export GOFLAGS := -buildvcs=false

.PHONY: demo build test vet unit setup fuzz fuzz-short reliability clean

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

unit:
	$(GO) test -race -timeout 12m ./...

# Every fuzz target, one after the other: make fuzz FUZZTIME=1h
FUZZTIME ?= 10m
fuzz: setup
	sh .ci/fuzz $(FUZZTIME)

fuzz-short:
	sh .ci/fuzz 3s

# The figures of the goals of reliability, beside the goals: make reliability LONG=-long
reliability: setup
	$(GO) run ./bench/reliability $(LONG)

clean:
	rm -rf bin
