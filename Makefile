# spamsensor: make demo shows what it does, make test checks that it does.

GO ?= go
export GOFLAGS := -buildvcs=false

.PHONY: servers demo build test vet unit setup bench fuzz soak clean

# The main job: a recorded capture in, a finding with its reasons out.
demo: build
	./bin/spamsensor read sensor/testdata/bot.pcap

build: setup
	$(GO) build -o bin/spamsensor ./sensor

# libpcap's headers, the only thing that is not a Go module.
setup:
	@sh .ci/setup

test: setup vet unit

vet:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

unit:
	$(GO) test -race -timeout 12m ./...

# The detectors of mail servers on simulated years, and a sensor that is killed 100 times.
servers: build
	$(GO) run ./bench/servers
	SPAMSENSOR_KILLS=100 $(GO) test ./sensor -run 'TestKill$$' -v

clean:
	rm -rf bin
