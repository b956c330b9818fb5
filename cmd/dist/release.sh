#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# release.sh VERSION DIRECTORY: makes everything of a release in a directory: for each architecture a tarball of
# what `make install` installs, a .deb and a .rpm; what is linked into each program (CycloneDX); checksums. Two
# clones of a commit give the same bytes. ARCHS names other architectures than all.
set -eu
cd "$(dirname "$0")/../.."
version=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
[ -z "$(ls -A "$out")" ] || { echo "release: $2 is not empty" >&2; exit 1; }
programs="ethertap collect control recall rpclsh"
: "${ARCHS:=amd64 arm64 riscv64 s390x ppc64le loong64}"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
: "${MAINTAINER:=the EtherTAP authors <ethertap@localhost>}"
export MAINTAINER SOURCE_DATE_EPOCH CGO_ENABLED=0 GOFLAGS=-trimpath
nfpm="go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4"
cyclonedx="go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=${version#v}

for arch in $ARCHS; do
	echo "release: $arch"
	tree=$work/$arch/ethertap-$number-linux-$arch bin=$work/$arch/bin
	mkdir -p "$tree" "$bin"
	for p in $programs; do
		GOARCH=$arch go build -ldflags "-s -w -X ethertap/cmd/internal/about.Version=$version" -o "$bin/$p" "./cmd/$p"
	done
	make -s --no-print-directory install-files DESTDIR="$tree" PREFIX=/usr/local BINARIES="$bin" VERSION="$version"
	tar -C "$work/$arch" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
		-cf - "${tree##*/}" | gzip -9n >"$out/${tree##*/}.tar.gz"
	GOARCH=$arch BINARIES="$bin" cmd/dist/deb.sh "$version" "$work/$arch/ethertap.deb" >/dev/null
	deb=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$work/$arch/ethertap.deb")
	mv "$work/$arch/ethertap.deb" "$out/$deb"

	stage=$work/$arch/rpm
	make -s --no-print-directory install-files DESTDIR="$stage" PREFIX=/usr BINARIES="$bin" VERSION="$version"
	find "$stage/usr/share/man" -type f -exec gzip -9n {} +
	find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	STAGE=$stage RPMARCH=$arch RPMVERSION=$(printf %s "$number" | sed -e 's/-\(alpha\|beta\|rc\)/~\1/' -e 's/-/+/g') \
		$nfpm package --config cmd/dist/nfpm.yaml --packager rpm --target "$out" >/dev/null
done
for p in $programs; do
	# It asks git for the version of the module, and cannot do that in a linked work tree.
	$cyclonedx app -json -noserial -notimestamp -std -licenses -main "cmd/$p" -output "$out/$p.cdx.json" . 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
done
(cd "$out" && LC_ALL=C sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
echo "release: $out"
