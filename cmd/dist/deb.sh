#!/bin/sh
# deb.sh VERSION OUTPUT: makes a Debian package of what `make install` installs.
# DEBFLAGS are further options of dpkg-deb.
set -eu
here=$(dirname "$0")
arch=$(dpkg --print-architecture)
case $arch in
amd64) triplet=x86_64-linux-gnu ;;
arm64) triplet=aarch64-linux-gnu ;;
*) echo "deb: no package for $arch" >&2; exit 1 ;;
esac
# a Debian version begins with a digit, and a dash would begin its revision
version=$(printf %s "$1" | sed -e 's/^v\([0-9]\)/\1/' -e 's/^[^0-9]/0+&/' -e 's/-/+/g')
case $version in
*.*) ;;
*) version=0+git.${version#0+} ;; # a commit's name, which is no number
esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s --no-print-directory -C "$here/../.." install-files DESTDIR="$root" PREFIX=/usr VERSION="$1"

install -d "$root/usr/lib/$triplet/wireshark/extcap" "$root/usr/share/doc/ethertap" "$root/DEBIAN"
ln -s ../../../../bin/collect "$root/usr/lib/$triplet/wireshark/extcap/collect"
install -m 644 "$here/debian/copyright" "$root/usr/share/doc/ethertap"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$root/DEBIAN"
(cd "$root" && find etc -type f | sed 's|^|/|' | sort >DEBIAN/conffiles)
(cd "$root" && find usr -type f -exec md5sum {} + | sort -k 2 >DEBIAN/md5sums)
size=$(du -sk --apparent-size "$root" | cut -f 1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$here/debian/control" >"$root/DEBIAN/control"
chmod 755 "$root"
dpkg-deb ${DEBFLAGS:-} --root-owner-group --build "$root" "$2" >/dev/null
echo "$2"
