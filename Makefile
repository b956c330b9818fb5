# SPDX-License-Identifier: BSD-3-Clause
# EtherTAP. `make demo` shows the main job, `make test` runs the tests; both
# install what they need on Debian.

PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PROGRAMS = ethertap collect control recall rpclsh
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

.PHONY: build test demo bench bench-docs bench-bridge bench-chain bench-queue bench-stream bench-vm race soak fuzz check install install-files uninstall deb deb-test deps-test deps-demo deps-deb deps-generate

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
bench: bench-chain bench-bridge bench-queue bench-stream bench-vm
	@go run ./tests/bench/report bench/results

# the last measurements into the document
bench-docs:
	go run ./tests/bench/report -into docs/performance.md bench/results

# what a frame costs in user space, on rings in memory
bench-chain:
	go run ./tests/bench/chain $(CHAINROUNDS) -save bench/results

# the bridge beside others: a bridge in C, the kernel's, asavie/xdp's sockets, tcpbridge;
# recording beside tcpdump, dumpcap, netsniff-ng and stenotype, to memory and, for ten seconds, to a disk
bench-bridge: deps-test
	-@tests/deps.sh dumpcap:wireshark-common netsniff-ng:netsniff-ng /usr/sbin/stenotype:stenographer tcpreplay:tcpreplay tcpbridge:tcpreplay /usr/include/xdp/xsk.h:libxdp-dev /usr/include/bpf/bpf.h:libbpf-dev
	go run ./tests/bench/bridge $(BENCHROUNDS) -save bench/results

# a collector into a stream of NATS, beside one into a file
bench-stream:
	go run ./tests/bench/stream $(ROUNDS) -save bench/results

# RPCL beside other interpreters
bench-vm:
	@tests/deps.sh gforth:gforth lua5.4:lua5.4 python3:python3
	cd tests/bench/vm && go run . $(ROUNDS) -save ../../../bench/results

# the long forms of the tests: ten million frames, a flood of a million addresses, filters on
# millions of frames in the VM, as trees and in tcpdump; with ETHERTAP_CORPUS=DIRECTORY captures of others
soak: deps-test build
	ETHERTAP_SOAK=1 go test -count 1 -timeout 60m -v -run 'Soak|OfflineCorpus|FaultStatistics|LikeEvaluator' ./tests ./words/predicate ./lib/filter ./dataplane/fastpath ./collect/recall

.PHONY: guest-test guest-docs guest-bench
# the tests in virtual machines, with kernels and drivers that this machine has not: all rows of
# the matrix, or ROW=virtio (tests/guest/matrix.go). Nothing is installed.
guest-test:
	@go run ./tests/guest -row '$(ROW)' -save bin/guests $(GUESTFLAGS)

# the bridge on NICs of the emulator, with zero-copy and without (tests/bench/nics)
guest-bench:
	@go run ./tests/guest -j 1 -row virtio-bench,igb-bench -v -save bin/guests $(GUESTFLAGS)

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
DOC = $(DESTDIR)$(PREFIX)/share/doc/ethertap
FISH = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
ZSH  = $(DESTDIR)$(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)

install: install-files

# BINARIES names a directory with programs that are built already
install-files:
	install -d $(SBIN) $(BIN) $(MAN)/man1 $(MAN)/man7 $(MAN)/man8 $(DESTDIR)$(PREFIX)/include $(UNIT) $(BASH) $(FISH) $(ZSH) $(SHARE)/editors/vim $(DOC)/docs $(DESTDIR)/etc/default $(DESTDIR)/etc/logrotate.d
ifdef BINARIES
	install $(BINARIES)/ethertap $(SBIN)
	install $(addprefix $(BINARIES)/,collect control recall rpclsh) $(BIN)
else
	$(GOBUILD) -o $(SBIN)/ ./cmd/ethertap
	$(GOBUILD) -o $(BIN)/ ./cmd/collect ./cmd/control ./cmd/recall ./cmd/rpclsh
endif
	install -m 644 cmd/collect/collect.1 cmd/control/control.1 cmd/recall/recall.1 cmd/rpclsh/rpclsh.1 $(MAN)/man1
	install -m 644 docs/rpcl.7 $(MAN)/man7
	install -m 644 cmd/ethertap/ethertap.8 $(MAN)/man8
	install -m 644 shm/ethertap_queue.h $(DESTDIR)$(PREFIX)/include
	install -m 644 cmd/dist/completion/ethertap.bash $(BASH)/ethertap
	install -m 644 cmd/dist/completion/ethertap.fish $(FISH)
	for p in collect control recall rpclsh; do ln -sf ethertap $(BASH)/$$p; ln -sf ethertap.fish $(FISH)/$$p.fish; done
	install -m 644 cmd/dist/completion/_ethertap $(ZSH)
	install -m 644 cmd/dist/ethertap.rules.yml cmd/dist/ethertap.dashboard.json cmd/dist/ethertap-collect.env $(SHARE)
	cd docs/editors && find . -type f -exec install -D -m 644 {} $(abspath $(SHARE))/editors/{} ';'
	install -m 644 README.md CHANGELOG.md SECURITY.md LICENSE NOTICES $(DOC)
	install -m 644 $(wildcard docs/*.md docs/*.png docs/*.svg) $(DOC)/docs
	for u in ethertap ethertap-collect ethertap-collect@; do sed 's|@PREFIX@|$(PREFIX)|' cmd/dist/$$u.service >$(UNIT)/$$u.service && chmod 644 $(UNIT)/$$u.service; done
	test -e $(DESTDIR)/etc/ethertap.rpcl || install -m 644 cmd/dist/ethertap.rpcl $(DESTDIR)/etc
	test -e $(DESTDIR)/etc/logrotate.d/ethertap || install -m 644 cmd/dist/ethertap.logrotate $(DESTDIR)/etc/logrotate.d/ethertap
	test -e $(DESTDIR)/etc/default/ethertap || install -m 644 cmd/dist/ethertap.default $(DESTDIR)/etc/default/ethertap

# a configuration that was changed stays
uninstall:
	rm -f $(SBIN)/ethertap $(addprefix $(BIN)/,collect control recall rpclsh)
	rm -f $(addprefix $(MAN)/,man1/collect.1 man1/control.1 man1/recall.1 man1/rpclsh.1 man7/rpcl.7 man8/ethertap.8) $(DESTDIR)$(PREFIX)/include/ethertap_queue.h
	rm -f $(addprefix $(BASH)/,$(PROGRAMS)) $(addprefix $(FISH)/,$(PROGRAMS:=.fish)) $(ZSH)/_ethertap $(addprefix $(UNIT)/,ethertap.service ethertap-collect.service ethertap-collect@.service)
	rm -f $(addprefix $(SHARE)/,ethertap.rules.yml ethertap.dashboard.json ethertap-collect.env)
	rm -rf $(SHARE)/editors $(DOC)
	! test -d $(SHARE) || rmdir --ignore-fail-on-non-empty $(SHARE)
	! cmp -s cmd/dist/ethertap.rpcl $(DESTDIR)/etc/ethertap.rpcl || rm $(DESTDIR)/etc/ethertap.rpcl
	! cmp -s cmd/dist/ethertap.logrotate $(DESTDIR)/etc/logrotate.d/ethertap || rm $(DESTDIR)/etc/logrotate.d/ethertap
	! cmp -s cmd/dist/ethertap.default $(DESTDIR)/etc/default/ethertap || rm $(DESTDIR)/etc/default/ethertap

deb:
	@mkdir -p bin
	@cmd/dist/deb.sh "$(VERSION)" bin/ethertap.deb

# the package in a Debian of its own with a live systemd: an older one installed, upgraded, used, removed, purged.
# OLDER names the package that is upgraded (default: the same one under an older version), RELEASES those of Debian.
RELEASES ?= bookworm trixie
OLDER ?= bin/older.deb
deb-test: deps-deb deb
	@test -e "$(OLDER)" || cmd/dist/deb.sh 0.0.1 "$(OLDER)"
	@for r in $(RELEASES); do cmd/dist/deb-test.sh bin/ethertap.deb "$(OLDER)" $$r || exit 1; done

.PHONY: release
# all files of a release into bin/release: tarballs, packages, what is linked (SBOM), checksums
release: deps-release
	@rm -rf bin/release
	@cmd/dist/release.sh "$(VERSION)" bin/release
	@lintian --allow-root --fail-on error,warning bin/release/*_amd64.deb
	@for u in ethertap ethertap-collect ethertap-collect@; do \
		sed 's|@PREFIX@|/usr|' cmd/dist/$$u.service >bin/$$u.service && \
		systemd-analyze security --offline=true --threshold=40 bin/$$u.service | tail -n 1 || exit 1; rm bin/$$u.service; \
	done

.PHONY: arch-test
# the unit tests on other architectures, emulated; ARCHS names fewer
ARCHS ?= arm64 riscv64 ppc64le loong64 s390x
arch-test: deps-arch
	@cmd/dist/arch-test.sh $(ARCHS)

deps-arch:
	@tests/deps.sh qemu-s390x-static:qemu-user-static update-binfmts:binfmt-support s390x-linux-gnu-gcc:gcc-s390x-linux-gnu \
		/usr/s390x-linux-gnu/include/stdio.h:libc6-dev-s390x-cross

deps-release:
	@tests/deps.sh git:git lintian:lintian systemd-analyze:systemd

deps-test:
	@tests/deps.sh ip:iproute2 ping:iputils-ping tcpdump:tcpdump tshark:tshark ethtool:ethtool socat:socat cc:gcc gforth:gforth \
		nats-server:nats-server capinfos:wireshark-common fish:fish zsh:zsh mandoc:mandoc zstd:zstd promtool:prometheus chromium:chromium \
		/usr/share/ieee-data/oui.csv:ieee-data

deps-deb:
	@tests/deps.sh ip:iproute2 ping:iputils-ping debootstrap:debootstrap

deps-demo:
	@tests/deps.sh ip:iproute2 ping:iputils-ping tcpdump:tcpdump ethtool:ethtool

deps-generate:
	@tests/deps.sh clang-14:clang-14 llvm-strip-14:llvm-14
