#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# deps.sh COMMAND:PACKAGE ...: installs the Debian packages of the commands that are
# missing, when it may, and says which are missing when it may not. A path in the
# place of a command stands for a file of the package.
set -u
missing=""
for pair in "$@"; do
	case $pair in
	/*) test -e "${pair%%:*}" ;;
	*) PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 ;;
	esac || missing="$missing ${pair#*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing$missing"
	log=$(mktemp)
	policy=/usr/sbin/policy-rc.d # packages start no service while it exists and says so
	if [ ! -e $policy ]; then
		trap 'rm -f $policy' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	if { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
		rm -f "$log"
		exit 0
	fi
	tail -n 5 "$log"
	rm -f "$log"
fi
echo "missing Debian packages, install them first: apt-get install$missing"
exit 1
