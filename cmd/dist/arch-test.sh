#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# arch-test.sh ARCH...: the tests of the language, the queue, the chain in memory, the recorder and the predicates on
# other architectures, in QEMU's user mode, as a user without rights. Two things are left out that QEMU 7.2
# emulates wrongly: the address of a SIGBUS (tests that truncate a mapped queue) and nanoseconds of file times on
# s390x. The programs in the kernel and the interfaces need a machine.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
here=$(go env GOARCH) failed=
for arch in "$@"; do
	[ "$arch" != "$here" ] || continue
	mkdir "$work/$arch"
	# The C reader of the queue is this machine's, and reads the queue of the other one. Not where bytes have another order.
	if [ "$arch" = s390x ]; then
		printf '#!/bin/sh\nexec s390x-linux-gnu-gcc -static "$@"\n' >"$work/$arch/cc"
		chmod 755 "$work/$arch/cc"
	fi
	for p in $(go list -f '{{if .TestGoFiles}}{{.Dir}}{{else if .XTestGoFiles}}{{.Dir}}{{end}}' ./interp/... ./lib/... ./shm ./words/... \
		./collect ./collect/index ./collect/recall ./dataplane ./dataplane/fastpath ./dataplane/policy ./dataplane/stamp ./dataplane/xsk); do
		test=$work/$arch/test
		GOARCH=$arch CGO_ENABLED=0 go test -c -o "$test" "$p" && chmod 755 "$test"
		if (cd "$p" && PATH=$work/$arch:$PATH HOME=/tmp setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$test" -test.short -test.timeout 10m -test.skip '^TestTruncatedUnderThem$|^TestQueueThatIsGone$|^TestQueueThatIsReplaced$/^truncated$|^TestRenew$/^(truncated|emptied)$|^TestRenewByMany$|^FuzzHostile$|^TestOtherFile$') >"$work/log" 2>&1; then
			echo "$arch ${p#"$PWD"/}: passed"
		else
			cat "$work/log"
			echo "$arch ${p#"$PWD"/}: failed"
			failed=1
		fi
		rm -f "$test"
	done
done
[ -z "$failed" ]
