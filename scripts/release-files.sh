#!/bin/sh
# Writes what a release has besides the program into a directory: manual pages and shell
# completions.
set -eu
cd "$(dirname "$0")/.."
dir=$1
rm -rf "$dir/man" "$dir/completions"
mkdir -p "$dir/completions"
go build -buildvcs=false -o "$dir/ferry" ./cmd/ferry
# The date of the pages: that of the commit, so that a second build is the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
"$dir/ferry" man "$dir/man"
"$dir/ferry" completion bash >"$dir/completions/ferry.bash"
"$dir/ferry" completion zsh >"$dir/completions/_ferry"
"$dir/ferry" completion fish >"$dir/completions/ferry.fish"
"$dir/ferry" completion powershell >"$dir/completions/ferry.ps1"
rm "$dir/ferry"
