# spamsensor: make demo shows what it does, make test checks that it does.

GO ?= go
export GOFLAGS := -buildvcs=false

.PHONY: install uninstall demo build test vet unit unit-whole unit-packages setup golden bench instructions profile servers verdicts fuzz reliability soak pictures clean

# Builds the command and analyses a recorded capture: a finding with its reasons.
demo: build
	./bin/spamsensor read sensor/testdata/bot.pcap

build: setup
	$(GO) build -o bin/spamsensor ./sensor

# Installs the command, its services for systemd, and what belongs to them; DESTDIR is put before
# each path. A configuration that is there stays as it is. Then:
#
#	systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
#	spamsensor setup
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
BIN ?= bin/spamsensor
UNITS = spamsensor.service spamsensor-serve.service spamsensor-notify.service
INSTALLED = $(DESTDIR)$(PREFIX)
CONFIGURED = $(DESTDIR)$(SYSCONFDIR)

bin/spamsensor:
	$(MAKE) build

install: $(BIN)
	install -D -m 0755 $(BIN) $(INSTALLED)/bin/spamsensor
	@for u in $(UNITS); do \
		sed 's|/usr/local/bin/|$(PREFIX)/bin/|' sensor/dist/$$u >$$u.tmp && \
		install -D -m 0644 $$u.tmp $(INSTALLED)/lib/systemd/system/$$u; rm -f $$u.tmp; done
	install -D -m 0644 sensor/dist/spamsensor.sysusers $(INSTALLED)/lib/sysusers.d/spamsensor.conf
	install -D -m 0644 sensor/dist/spamsensor.tmpfiles $(INSTALLED)/lib/tmpfiles.d/spamsensor.conf
	install -D -m 0644 sensor/dist/spamsensor.logrotate $(CONFIGURED)/logrotate.d/spamsensor
	install -d -m 0755 $(INSTALLED)/share/spamsensor $(INSTALLED)/share/bash-completion/completions
	$(BIN) check --schema >$(INSTALLED)/share/spamsensor/schema.json
	$(BIN) completion bash >$(INSTALLED)/share/bash-completion/completions/spamsensor
	@test -e $(CONFIGURED)/spamsensor/spamsensor.example.yaml || \
		install -D -m 0644 sensor/spamsensor.example.yaml $(CONFIGURED)/spamsensor/spamsensor.example.yaml

# Removes what install has put there, but neither the configuration nor the state.
uninstall:
	rm -f $(INSTALLED)/bin/spamsensor $(UNITS:%=$(INSTALLED)/lib/systemd/system/%)
	rm -f $(INSTALLED)/lib/sysusers.d/spamsensor.conf $(INSTALLED)/lib/tmpfiles.d/spamsensor.conf
	rm -f $(CONFIGURED)/logrotate.d/spamsensor $(INSTALLED)/share/bash-completion/completions/spamsensor
	rm -f $(INSTALLED)/share/spamsensor/schema.json
	-rmdir $(INSTALLED)/share/spamsensor 2>/dev/null

# Installs libpcap's headers, the only dependency that is not a Go module.
setup:
	@sh .ci/setup

# Tests run without the profile for the compiler: with it, every package of the program, those of
# other modules too, is compiled once more.
test vet unit unit-whole unit-packages: export GOFLAGS := -buildvcs=false -pgo=off
test: setup vet unit

vet:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) tool revive -config .ci/revive.toml ./...
	@find . -name '*.go' -o -name '*.md' ! -name '*.fr.md' | xargs $(GO) tool misspell -error

# Packages with one goroutine and long computations run without the race detector.
SINGLE = ./smtpsniff/... ./sensor/detect ./sensor/mailserver ./sensor/wire/... ./bench/servers ./bench/campaign/... ./bench/worlds/... ./bench/reliability
# These tests, too, use one goroutine, in packages whose other tests use several.
SLOW = ^(TestFieldCases|TestScenarioCases|TestServersTruth|TestCaptureSums|TestReportOfMany|TestReportOfThePast|TestRejectedIsNotForged|TestLinearFrames|TestMutants|TestNothingLeaks|TestFraming|TestNoFraming|TestAbsurdTimes|TestEvasion|TestRotation|TestNoRotation|TestDamage|TestAnyDamage)$$
# These build an image, and start machines with services.
MACHINES = ^(TestDockerfile|TestBoot|TestSetupPeers)$$
RACE = $(GO) test -race -timeout 14m -skip '$(SLOW)|$(MACHINES)'

# Half of the time the tests of the sensor as a whole wait: for a finding that is due, for a service
# that starts. The tests of computations use that time, and after them the fuzz targets.
unit:
	$(GO) build -race ./...
	$(MAKE) --no-print-directory -j2 unit-whole unit-packages

unit-whole:
	$(RACE) ./sensor
	$(GO) test -timeout 12m -run '$(MACHINES)' ./sensor

unit-packages:
	$(RACE) -p 1 $(filter-out $(shell $(GO) list ./sensor $(SINGLE)),$(shell $(GO) list ./...))
	$(GO) test -timeout 12m -run '$(SLOW)' ./sensor ./sensor/engine ./sensor/state
	$(GO) test -timeout 12m $(SINGLE)
	nice sh .ci/fuzz 3s

# Compares results that stay the same, byte for byte, while only the structure of the code changes.
# After a change that is meant to change results: sh .ci/golden update
golden: setup
	sh .ci/golden

# Measures the speed of every stage, and of the whole beside the other tools that are installed.
# The workloads (3.9 GB) are made once, outside the tree; BENCH_MB=300 makes smaller ones,
# BENCH_ARGS are options of compare.
BENCH_DIR ?= $(or $(TMPDIR),/tmp)/spamsensor-bench
BENCH_MB ?= 0
BENCH_ARGS ?=
WORKLOADS = $(addprefix $(BENCH_DIR)/,w1.pcap w2.pcap w3.pcap)

bench: setup $(WORKLOADS)
	$(GO) test -run '^$$' -bench . ./...
	$(GO) run ./bench compare $(BENCH_ARGS) $(WORKLOADS)

# Counts the instructions of every stage in a simulated processor, and compares them with the budget
# (needs valgrind). After a change that is worth its instructions: make instructions UPDATE=-update
UPDATE ?=
instructions: setup
	$(GO) run ./bench instructions $(UPDATE)

# Half an hour at 200,000 packets a second with all parts on: memory, threads, descriptors and events
# (needs root, tcpreplay and curl).
soak: setup $(BENCH_DIR)/w2.pcap
	$(GO) run ./bench soak $(SOAK_ARGS) $(BENCH_DIR)/w2.pcap

# The picture of the README, from a recorded capture (needs chromium).
pictures: build
	sh .ci/pictures

# The profile that the compiler takes from sensor/default.pgo (profile-guided optimization): anew
# after changes on the way of a packet, on an idle machine, with BENCH_MB=400.
profile: setup $(WORKLOADS)
	SPAMSENSOR_BENCH_FILES="$(WORKLOADS)" $(GO) test ./sensor -run '^$$' -bench BenchmarkRead -benchtime 12x -cpuprofile sensor/default.pgo -o $(BENCH_DIR)/sensor.test

$(BENCH_DIR)/%.pcap:
	@mkdir -p $(BENCH_DIR)
	$(GO) run ./bench generate -mb $(BENCH_MB) $* $@.part
	@mv $@.part $@

# Runs every fuzz target, one after the other: make fuzz FUZZTIME=1h
FUZZTIME ?= 10m
fuzz: setup
	sh .ci/fuzz $(FUZZTIME)

# Prints the figures of reliability beside their goals: make reliability LONG=-long
reliability: setup
	$(GO) run ./bench/reliability $(LONG)

# Runs the detectors of mail servers on simulated years, and kills a sensor 100 times.
servers: build
	$(GO) run ./bench/servers
	SPAMSENSOR_KILLS=100 $(GO) test ./sensor -run 'TestKill$$' -v

# Prints how often the verdicts are right, on the networks of two independent generators:
# make verdicts SEEDS=3
SEEDS ?= 10
verdicts: setup
	$(GO) run ./bench campaigns -scenario all -hosts 20 -variants none -suricata=false
	$(GO) run ./bench campaigns -scenario clean -hosts 50 -variants none -suricata=false
	$(GO) run ./bench/worlds -seeds $(SEEDS)

clean:
	rm -rf bin
