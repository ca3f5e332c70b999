#!/bin/sh
# Checks the artefacts of a release in a directory: the checksums, and for each platform that the
# archive has the program and its files, that the program is static and of the processor, that it
# prints the version (where it runs here), and that the SBOM lists ferry and its modules.
set -eu
cd "$1"

fail() {
	printf 'check-release: %s\n' "$1" >&2
	exit 1
}

sha256sum --check --quiet --strict checksums.txt || fail 'a checksum is wrong'
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
archives=0
for archive in ferry_*.tar.gz ferry_*.zip; do
	[ -e "$archive" ] || fail "there is no $archive"
	archives=$((archives + 1))
	name=${archive%.zip}
	name=${name%.tar.gz}
	dir=$unpacked/$name
	mkdir "$dir"
	program=ferry
	case $archive in
	*.zip)
		unzip -q "$archive" -d "$dir"
		program=ferry.exe
		;;
	*) tar --extract --file="$archive" --directory="$dir" ;;
	esac
	for file in "$program" LICENSE README.md CHANGELOG.md kratos.yml.example identity.schema.json.example \
		systemd/ferry.service man/ferry.1 man/ferry-serve.1 \
		completions/ferry.bash completions/_ferry completions/ferry.fish completions/ferry.ps1; do
		[ -s "$dir/$file" ] || fail "$archive lacks $file"
	done

	# The name ends in _SYSTEM_PROCESSOR.
	processor=${name##*_}
	system=${name%_*}
	system=${system##*_}
	built=$(go version -m "$dir/$program")
	for setting in "GOOS=$system" "GOARCH=$processor" CGO_ENABLED=0 -trimpath=true; do
		printf '%s\n' "$built" | grep -q "build	$setting\$" || fail "$archive: the program was not built with $setting"
	done
	if [ "$system" = linux ] && readelf --program-headers "$dir/$program" | grep -q INTERP; then
		fail "$archive: the program is not static"
	fi
	if [ "$system/$processor" = "$(go env GOOS)/$(go env GOARCH)" ]; then
		version=${name#ferry_}
		version=${version%_"$system"_"$processor"}
		"$dir/$program" version | grep -q "v$version" || fail "$archive: the program does not print the version v$version"
	fi

	sbom=$name.cdx.json
	[ -s "$sbom" ] || fail "there is no $sbom"
	grep -q " $sbom\$" checksums.txt || fail "$sbom has no checksum"
	# Every module of the program is in the SBOM.
	printf '%s\n' "$built" | awk '$1 == "dep" { print "pkg:golang/" $2 "@" $3 }' | while read -r module; do
		grep -qF "\"purl\": \"$module" "$sbom" || fail "$sbom lacks $module"
	done || exit 1
	modules=$(printf '%s\n' "$built" | grep -c '^	dep	')
	printf '%s: %s modules\n' "$archive" "$modules"
done
[ "$archives" -eq 6 ] || fail "there are $archives archives, not 6"
