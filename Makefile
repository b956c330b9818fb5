# EtherTAP. `make demo` shows the main job, `make test` runs the tests; both
# install what they need on Debian.

PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PROGRAMS = ethertap collect control rpclsh
GOBUILD  = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X ethertap/cmd/internal/about.Version=$(VERSION)"
FUZZTIME ?= 20s
CHAOSTIME ?= 5m
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.7.0

# BENCH=quick measures less and takes two minutes
ifeq ($(BENCH),quick)
BENCHROUNDS = -quick -rounds 3 -time 200ms
QUEUEROWS = -rows '64 bytes'
CHAINROUNDS = -rounds 3 -frames 500000
ROUNDS    = -rounds 3
else
BENCHROUNDS = -rounds 5 -time 500ms
CHAINROUNDS = -rounds 3
ROUNDS    = -rounds 4
endif

.PHONY: build test demo bench bench-docs bench-bridge bench-chain bench-queue bench-vm race soak fuzz check install install-files uninstall deb deb-test deps-test deps-demo deps-deb deps-generate

build:
	@mkdir -p bin
	$(GOBUILD) -o bin/ $(addprefix ./cmd/,$(PROGRAMS))

.PHONY: generate
# the programs of the fast path, which are committed: needed only when they change
generate: deps-generate
	go generate ./dataplane/fastpath

test: deps-test build
	go test -timeout 10m ./...

demo: deps-demo build
	@tests/demo.sh

race: deps-test
	go test -race -timeout 20m ./...

# everything measured, ours beside others, and one table of it all at the end
bench: bench-chain bench-bridge bench-queue bench-vm
	@go run ./tests/bench/report bench/results

# the last measurements into the document
bench-docs:
	go run ./tests/bench/report -into docs/performance.md bench/results

# what a frame costs in user space, on rings in memory
bench-chain:
	go run ./tests/bench/chain $(CHAINROUNDS) -save bench/results

# the bridge beside others: a bridge in C, the kernel's, asavie/xdp's sockets, tcpbridge;
# recording beside tcpdump, dumpcap and netsniff-ng
bench-bridge: deps-test
	-@tests/deps.sh dumpcap:wireshark-common netsniff-ng:netsniff-ng tcpbridge:tcpreplay /usr/include/xdp/xsk.h:libxdp-dev /usr/include/bpf/bpf.h:libbpf-dev
	go run ./tests/bench/bridge $(BENCHROUNDS) -save bench/results

# RPCL beside other interpreters
bench-vm:
	@tests/deps.sh gforth:gforth lua5.4:lua5.4 python3:python3
	cd tests/bench/vm && go run . $(ROUNDS) -save ../../../bench/results

# the long forms of the tests: ten million frames, a flood of a million addresses, filters on
# millions of frames in the VM, as trees and in tcpdump
soak: deps-test build
	ETHERTAP_SOAK=1 go test -count 1 -timeout 60m -v -run 'Soak|FaultStatistics|LikeEvaluator' ./tests ./words/predicate ./lib/filter ./dataplane/fastpath

.PHONY: guest-test guest-docs
# the tests in virtual machines, with kernels and drivers that this machine has not: all rows of
# the matrix, or ROW=virtio (tests/guest/matrix.go). Nothing is installed.
guest-test:
	@go run ./tests/guest -row '$(ROW)' -save bin/guests $(GUESTFLAGS)

# what the rows showed, into the document
guest-docs:
	@go run ./tests/guest -save bin/guests -into docs/requirements.md

.PHONY: chaos
# the TAP queue beside a plain Vyukov ring
bench-queue:
	go run ./tests/bench/queue $(ROUNDS) $(QUEUEROWS) -save bench/results

# the queue: all interleavings of small scenarios; then its producers and consumers killed and
# stopped at random, for CHAOSTIME each way
chaos: deps-test
	ETHERTAP_SHM_CHAOS_TIME=$(CHAOSTIME) go test -run 'Chaos|Interleavings' -v -count 1 -timeout 0 ./shm

# every fuzz target for FUZZTIME
fuzz:
	@for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

# what must hold besides the tests
check:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go mod tidy -diff
	$(STATICCHECK) ./...
	cd tests/bench/vm && go vet . && go mod tidy -diff

# what is installed, below DESTDIR
SBIN = $(DESTDIR)$(PREFIX)/sbin
BIN  = $(DESTDIR)$(PREFIX)/bin
MAN  = $(DESTDIR)$(PREFIX)/share/man
UNIT = $(DESTDIR)$(PREFIX)/lib/systemd/system
BASH = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
SHARE = $(DESTDIR)$(PREFIX)/share/ethertap
FISH = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
ZSH  = $(DESTDIR)$(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)

install: install-files

# BINARIES names a directory with programs that are built already
install-files:
	install -d $(SBIN) $(BIN) $(MAN)/man1 $(MAN)/man7 $(MAN)/man8 $(DESTDIR)$(PREFIX)/include $(UNIT) $(BASH) $(FISH) $(ZSH) $(SHARE) $(DESTDIR)/etc/default $(DESTDIR)/etc/logrotate.d
ifdef BINARIES
	install $(BINARIES)/ethertap $(SBIN)
	install $(addprefix $(BINARIES)/,collect control rpclsh) $(BIN)
else
	$(GOBUILD) -o $(SBIN)/ ./cmd/ethertap
	$(GOBUILD) -o $(BIN)/ ./cmd/collect ./cmd/control ./cmd/rpclsh
endif
	install -m 644 cmd/collect/collect.1 cmd/control/control.1 cmd/rpclsh/rpclsh.1 $(MAN)/man1
	install -m 644 docs/rpcl.7 $(MAN)/man7
	install -m 644 cmd/ethertap/ethertap.8 $(MAN)/man8
	install -m 644 shm/ethertap_queue.h $(DESTDIR)$(PREFIX)/include
	install -m 644 cmd/dist/completion/ethertap.bash $(BASH)/ethertap
	install -m 644 cmd/dist/completion/ethertap.fish $(FISH)
	for p in collect control rpclsh; do ln -sf ethertap $(BASH)/$$p; ln -sf ethertap.fish $(FISH)/$$p.fish; done
	install -m 644 cmd/dist/completion/_ethertap $(ZSH)
	install -m 644 cmd/dist/ethertap.rules.yml cmd/dist/ethertap.dashboard.json $(SHARE)
	for u in ethertap ethertap-collect; do sed 's|@PREFIX@|$(PREFIX)|' cmd/dist/$$u.service >$(UNIT)/$$u.service && chmod 644 $(UNIT)/$$u.service; done
	test -e $(DESTDIR)/etc/ethertap.rpcl || install -m 644 cmd/dist/ethertap.rpcl $(DESTDIR)/etc
	test -e $(DESTDIR)/etc/logrotate.d/ethertap || install -m 644 cmd/dist/ethertap.logrotate $(DESTDIR)/etc/logrotate.d/ethertap
	test -e $(DESTDIR)/etc/default/ethertap || install -m 644 cmd/dist/ethertap.default $(DESTDIR)/etc/default/ethertap

# a configuration that was changed stays
uninstall:
	rm -f $(SBIN)/ethertap $(addprefix $(BIN)/,collect control rpclsh)
	rm -f $(addprefix $(MAN)/,man1/collect.1 man1/control.1 man1/rpclsh.1 man7/rpcl.7 man8/ethertap.8) $(DESTDIR)$(PREFIX)/include/ethertap_queue.h
	rm -f $(addprefix $(BASH)/,$(PROGRAMS)) $(addprefix $(FISH)/,$(PROGRAMS:=.fish)) $(ZSH)/_ethertap $(UNIT)/ethertap.service $(UNIT)/ethertap-collect.service
	rm -f $(SHARE)/ethertap.rules.yml $(SHARE)/ethertap.dashboard.json
	! test -d $(SHARE) || rmdir --ignore-fail-on-non-empty $(SHARE)
	! cmp -s cmd/dist/ethertap.rpcl $(DESTDIR)/etc/ethertap.rpcl || rm $(DESTDIR)/etc/ethertap.rpcl
	! cmp -s cmd/dist/ethertap.logrotate $(DESTDIR)/etc/logrotate.d/ethertap || rm $(DESTDIR)/etc/logrotate.d/ethertap
	! cmp -s cmd/dist/ethertap.default $(DESTDIR)/etc/default/ethertap || rm $(DESTDIR)/etc/default/ethertap

deb:
	@mkdir -p bin
	@cmd/dist/deb.sh "$(VERSION)" bin/ethertap.deb

# the package in a Debian of its own: installed, used, removed, purged
deb-test: deps-deb deb
	@cmd/dist/deb-test.sh bin/ethertap.deb

deps-test:
	@tests/deps.sh ip:iproute2 ping:iputils-ping tcpdump:tcpdump tshark:tshark ethtool:ethtool socat:socat cc:gcc gforth:gforth \
		capinfos:wireshark-common fish:fish zsh:zsh mandoc:mandoc zstd:zstd promtool:prometheus chromium:chromium \
		/usr/share/ieee-data/oui.csv:ieee-data

deps-deb:
	@tests/deps.sh ip:iproute2 ping:iputils-ping debootstrap:debootstrap

deps-demo:
	@tests/deps.sh ip:iproute2 ping:iputils-ping tcpdump:tcpdump

deps-generate:
	@tests/deps.sh clang-14:clang-14 llvm-strip-14:llvm-14
