#!/usr/bin/env bash
# The files of a release: a tar.gz a platform, a CycloneDX bill of materials of
# the binary, the notes of the version out of CHANGELOG.md, and SHA256SUMS.
#
#   deploy/release.sh v1.2.3 dist
#
# Needs GNU tar. PLATFORMS="linux/amd64" builds fewer of them. Two runs on one commit make the
# same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $# == 2 && $1 == v*.*.* ]] || { echo "usage: deploy/release.sh vX.Y.Z FOLDER" >&2; exit 2; }
version=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
[[ -z $(ls -A "$out") ]] || { echo "release: $2 is not empty" >&2; exit 1; }

: "${PLATFORMS:=linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}"
revision=$(git rev-parse HEAD)
date=$(git log -1 --format=@%ct)
telemetry=github.com/mailstream/mailstream/services/internal/platform/telemetry
export CGO_ENABLED=0 GOWORK=off

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
for platform in $PLATFORMS; do
	os=${platform%/*} arch=${platform#*/}
	name=mailstream_${version#v}_${os}_$arch
	echo "release: $name"
	mkdir "$stage/$name"
	(cd services && GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X $telemetry.version=$version -X $telemetry.revision=$revision" \
		-o "$stage/$name/mailstream" ./cmd/mailstream)
	cp LICENSE README.md CHANGELOG.md deploy/mailstream.yaml "$stage/$name/"
	tar -C "$stage" --sort=name --mtime="$date" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -n >"$out/$name.tar.gz"
done

# The modules are those that the binary itself names; all platforms have the same.
echo "release: bill of materials"
binary=("$stage"/*/mailstream)
GOFLAGS= go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 \
	bin -json -noserial -version "$version" -output "$out/mailstream_${version#v}.cdx.json" "${binary[0]}"

# The section of this version, or what is not released yet.
notes() { awk -v heading="## [$1]" 'index($0, "## [") == 1 { on = index($0, heading) == 1; next } on && !/^\[.*\]: /' CHANGELOG.md; }
notes "${version#v}" >"$out/NOTES.md"
[[ -s $out/NOTES.md ]] || notes Unreleased >"$out/NOTES.md"

(cd "$out" && sha256sum -- *.tar.gz *.cdx.json >SHA256SUMS)
echo "release: $version in $2"
