#!/bin/sh
# What building and testing ferry needs besides Go modules. Checks all of it;
# on Debian, as root, installs what is missing; anywhere else prints the one
# line to run, and fails. Nothing is ever left out because it is missing.
set -eu
cd "$(dirname "$0")/.."

# One line each: Debian package, then how its presence shows, a command on the
# PATH or (with a slash) a file. Add a line when a test needs something new.
packages='
gcc             gcc
libc6-dev       /usr/include/stdlib.h
make            make
ca-certificates /etc/ssl/certs/ca-certificates.crt
redis-server    redis-server
'

go_minor=26 # as in go.mod

fail() {
	printf 'prereqs: %s\n' "$1" >&2
	exit 1
}

present() {
	case $1 in
	*/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

# Prints the packages whose sign is not there, on one line.
missing() {
	printf '%s' "$packages" | while read -r package sign; do
		[ -z "$package" ] || present "$sign" || printf ' %s' "$package"
	done
}

check_go() {
	command -v go >/dev/null 2>&1 ||
		fail "Go is not on the PATH: install Go 1.$go_minor or newer from https://go.dev/dl/ (distributions' packages are older)"
	# Asked inside the module, go answers for the toolchain that it will use.
	version=$(go env GOVERSION) || fail "go cannot use this module; see its message above"
	minor=$(printf '%s\n' "$version" | sed -n 's/.*go1\.\([0-9][0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge "$go_minor" ] ||
		fail "Go 1.$go_minor or newer is needed, this is $version: see https://go.dev/dl/"
	printf 'go: %s\n' "$version"
}

check_packages() {
	lacking=$(missing)
	if [ -z "$lacking" ]; then
		printf 'packages: all there\n'
		return
	fi
	install="apt-get install -qq -y --no-install-recommends$lacking"
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		fail "missing:$lacking. On Debian, run: sudo apt-get update && sudo $install (elsewhere, install what gives you the same)"
	fi
	printf 'packages: missing:%s; installing\n' "$lacking"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $install
	lacking=$(missing)
	[ -z "$lacking" ] || fail "still missing after installing:$lacking"
}

check_go
check_packages
