#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME each (5s), one after the
# other. A target that fails leaves its input under testdata/fuzz: commit it
# with the repair.
set -eu
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-5s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# Packages with fuzz targets, so that the others need not be built for asking.
packages() {
	go list -f '{{range .TestGoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}' ./... |
		sed -n 's,^ferry/,./,p' | xargs grep -l '^func Fuzz' | sed 's,/[^/]*$,,' | sort -u
}

# Until Go 1.27, the end of -fuzztime can itself be reported as a failure
# (https://go.dev/issue/75804). Only that looks so: the deadline, and no input.
deadline_only() {
	grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written\|panic:' "$log"
}

fuzz() { # directory, target
	for try in 1 2 3; do
		status=0
		go test -run="^$2\$" -fuzz="^$2\$" -fuzztime="$fuzztime" -fuzzminimizetime=2s -timeout=5m "$1" >"$log" 2>&1 || status=$?
		if [ "$status" -eq 0 ] || ! deadline_only; then
			break
		fi
		printf '%s: the fuzzer tripped over its own deadline (try %s)\n' "$2" "$try"
	done
	cat "$log"
	return "$status"
}

passed=0
failed=0
for dir in $(packages); do
	listed=$(go test -list '^Fuzz' "$dir")
	for target in $(printf '%s\n' "$listed" | grep '^Fuzz'); do
		printf 'fuzz: %s in %s\n' "$target" "$dir"
		if fuzz "$dir" "$target"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
done
[ $((passed + failed)) -gt 0 ] || {
	echo 'fuzz: found no target at all' >&2
	exit 1
}
printf 'fuzz: %s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
