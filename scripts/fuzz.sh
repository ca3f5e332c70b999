#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME each (5s), two at a time with
# half of the CPUs each. A target that fails leaves its input under testdata/fuzz:
# commit it with the fix.
set -eu
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-5s}

# Lines of directory and target.
targets() {
	go list -f '{{range .TestGoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}' ./... |
		sed -n 's,^ferry/,./,p' | xargs grep -H '^func Fuzz' |
		sed 's,^\(.*\)/[^/]*:func \(Fuzz[A-Za-z0-9_]*\)(.*,\1 \2,' | sort -u
}

# Until Go 1.27, the end of -fuzztime can itself be reported as a failure
# (https://go.dev/issue/75804): the output then names the deadline and no input.
deadline_only() {
	grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written\|panic:' "$log"
}

fuzz() { # directory, target
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	trap 'exit 130' INT TERM
	workers=$((($(getconf _NPROCESSORS_ONLN) + 1) / 2))
	for try in 1 2 3; do
		status=0
		go test -run="^$2\$" -fuzz="^$2\$" -fuzztime="$fuzztime" -parallel="$workers" -fuzzminimizetime=2s -timeout=5m "$1" >"$log" 2>&1 || status=$?
		if [ "$status" -eq 0 ] || ! deadline_only; then
			break
		fi
		printf '%s: the fuzzer failed at its own deadline (attempt %s)\n' "$2" "$try"
	done
	printf 'fuzz: %s in %s\n%s\n' "$2" "$1" "$(cat "$log")"
	echo "$status" >>"$results"
}

if [ $# -eq 3 ]; then # results, directory, target
	results=$1
	fuzz "$2" "$3"
	exit
fi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
trap 'exit 130' INT TERM
targets | xargs -P 2 -L 1 sh scripts/fuzz.sh "$results"
passed=$(grep -c '^0$' "$results" || true)
failed=$(grep -vc '^0$' "$results" || true)
[ $((passed + failed)) -gt 0 ] || {
	echo 'fuzz: found no target' >&2
	exit 1
}
printf 'fuzz: %s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
