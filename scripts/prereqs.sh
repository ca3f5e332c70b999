#!/bin/sh
# Checks what building and testing ferry needs besides Go modules. On Debian, as
# root, it installs what is missing; elsewhere it prints what to install, and
# fails. With the argument demo, it checks only what the demo needs; with apps,
# browser, openid or snapshot, also what those targets need.
set -eu
cd "$(dirname "$0")/.."

# One line each: Debian package, then the sign of its presence: a command on the
# PATH, a file (with a slash), or a check_ function. Add a line when a test needs
# something new.
packages='
gcc             check_compiler
libc6-dev       check_compiler
make            make
ca-certificates check_certificates
'
[ "${1:-}" = demo ] || packages="$packages
redis-server    redis-server
util-linux      prlimit
nginx-light     check_nginx
postgresql      check_postgres
groff-base      groff
systemd         systemd-analyze
prometheus      check_prometheus
"
[ "${1:-}" != browser ] || packages="$packages
chromium        chromium
nodejs          node
npm             npm
"
[ "${1:-}" != snapshot ] || packages="$packages
unzip           unzip
binutils        readelf
"
[ "${1:-}" != openid ] && [ "${1:-}" != apps ] || packages="$packages
nodejs          node
npm             npm
"

go_minor=26 # as in go.mod

fail() {
	printf 'prereqs: %s\n' "$1" >&2
	exit 1
}

# Compiles C: where compiler and headers are differs between systems.
check_compiler() {
	printf '#include <stdlib.h>\nint main(void) { return 0; }\n' |
		$(go env CC) -x c -o /dev/null - >/dev/null 2>&1
}

# The places where Go looks for the system's certificate authorities.
check_certificates() {
	[ "$(uname)" != Linux ] || cat /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
		/etc/ssl/ca-bundle.pem /etc/ssl/cert.pem 2>/dev/null | grep -q .
}

# Debian keeps the server of each version in a directory off the PATH.
check_postgres() {
	command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1
}

# Debian keeps nginx in a directory that users do not search.
check_nginx() {
	command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]
}

check_prometheus() {
	command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1
}

present() {
	case $1 in
	check_*) "$1" ;;
	*/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

# Unpacks the programs of the package prometheus, without installing it.
install_prometheus() {
	unpacked=$(mktemp -d)
	(cd "$unpacked" && apt-get download -qq prometheus && dpkg-deb --extract prometheus_*.deb .)
	install -m 755 "$unpacked/usr/bin/prometheus" "$unpacked/usr/bin/promtool" /usr/local/bin/
	rm -rf "$unpacked"
}

# Prints the missing packages on one line.
missing() {
	printf '%s' "$packages" | while read -r package sign; do
		[ -z "$package" ] || present "$sign" || printf ' %s' "$package"
	done
}

check_go() {
	command -v go >/dev/null 2>&1 ||
		fail "Go is not on the PATH: install Go 1.$go_minor or newer from https://go.dev/dl/ (distributions' packages are older)"
	# Inside the module, this is the version of the toolchain that go will use.
	version=$(go env GOVERSION) || fail "go cannot use this module; see its message above"
	minor=$(printf '%s\n' "$version" | sed -n 's/.*go1\.\([0-9][0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge "$go_minor" ] ||
		fail "Go 1.$go_minor or newer is needed, this is $version: see https://go.dev/dl/"
	printf 'go: %s\n' "$version"
}

check_packages() {
	lacking=$(missing)
	if [ -z "$lacking" ]; then
		printf 'packages: complete\n'
		return
	fi
	# Of the package prometheus only the programs are needed. Installed, it would start a server
	# that listens at port 9090 of every address.
	prometheus=
	case "$lacking " in
	*' prometheus '*)
		lacking=$(printf '%s' "$lacking" | sed 's/ prometheus$//; s/ prometheus / /')
		prometheus=' prometheus (only the programs, in /usr/local/bin)'
		;;
	esac
	install="apt-get install -qq -y --no-install-recommends$lacking"
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		[ -n "$lacking" ] || install='apt-get download prometheus'
		fail "missing:$lacking$prometheus. On Debian, run: sudo apt-get update && sudo $install (elsewhere, install the equivalent)"
	fi
	printf 'packages: missing:%s%s; installing\n' "$lacking" "$prometheus"
	apt-get update -qq
	[ -z "$lacking" ] || DEBIAN_FRONTEND=noninteractive $install
	[ -z "$prometheus" ] || install_prometheus
	lacking=$(missing)
	[ -z "$lacking" ] || fail "still missing after installing:$lacking"
}

check_go
check_packages
