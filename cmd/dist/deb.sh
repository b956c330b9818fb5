#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# deb.sh VERSION OUTPUT: makes a Debian package of what `make install` installs. GOARCH names another
# architecture than this machine's, DEBFLAGS further options of dpkg-deb, and MAINTAINER whom to write to.
# With SOURCE_DATE_EPOCH two calls give the same bytes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${GOARCH:-$(go env GOARCH)} in
amd64) arch=amd64 triplet=x86_64-linux-gnu ;;
arm64) arch=arm64 triplet=aarch64-linux-gnu ;;
riscv64) arch=riscv64 triplet=riscv64-linux-gnu ;;
s390x) arch=s390x triplet=s390x-linux-gnu ;;
ppc64le) arch=ppc64el triplet=powerpc64le-linux-gnu ;;
loong64) arch=loong64 triplet=loongarch64-linux-gnu ;;
*) echo "deb: no package for ${GOARCH:-this architecture}" >&2; exit 1 ;;
esac
# a Debian version begins with a digit, a dash would begin its revision, and what comes before a release has a tilde
version=$(printf %s "$1" | sed -e 's/^v\([0-9]\)/\1/' -e 's/^[^0-9]/0+&/' -e 's/-\(alpha\|beta\|rc\)/~\1/' -e 's/-/+/g')
case $version in
*.*) ;;
*) version=0+git.${version#0+} ;; # a commit's name, which is no number
esac
: "${MAINTAINER:=the EtherTAP authors <ethertap@localhost>}"
umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s --no-print-directory -C "$here/../.." install-files DESTDIR="$root" PREFIX=/usr VERSION="$1"

doc=$root/usr/share/doc/ethertap
install -d "$root/usr/lib/$triplet/wireshark/extcap" "$root/usr/share/lintian/overrides" "$root/DEBIAN"
ln -s ../../../../bin/collect "$root/usr/lib/$triplet/wireshark/extcap/collect"
install -m 644 "$here/debian/copyright" "$doc"
install -m 644 "$here/debian/lintian-overrides" "$root/usr/share/lintian/overrides/ethertap"
rm "$doc/LICENSE" # it stands in copyright
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")
printf 'ethertap (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$version" "$MAINTAINER" "$date" >"$doc/changelog"
find "$root/usr/share/man" "$doc/NOTICES" "$doc/changelog" -type f -exec gzip -9n {} +
install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$root/DEBIAN"
(cd "$root" && find etc -type f | sed 's|^|/|' | LC_ALL=C sort >DEBIAN/conffiles)
(cd "$root" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2 >DEBIAN/md5sums)
# in KiB, a directory or a link as 1, so that it does not depend on the file system
size=$(find "$root/usr" "$root/etc" -printf '%y %s\n' | awk '{n += $1 == "f" ? int(($2 + 1023) / 1024) : 1} END {print n}')
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" -e "s|@MAINTAINER@|$MAINTAINER|" "$here/debian/control" >"$root/DEBIAN/control"
chmod 755 "$root"
dpkg-deb ${DEBFLAGS:-} --root-owner-group --build "$root" "$2" >/dev/null
echo "$2"
