#!/usr/bin/env bash
# Fetches axe-core, which looks for what keeps people from using a page, from npm,
# checks it and writes it here, packed, with its licence. A new version: change the
# lines below and run it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent axe-core@4.14.1 >/dev/null
tar -xzf axe-core-4.14.1.tgz
sha256sum --check --quiet <<'LIST'
29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c  package/axe.min.js
af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e  package/LICENSE
LIST
gzip -9 --no-name --stdout package/axe.min.js >"$here/axe.min.js.gz"
cp package/LICENSE "$here/axe.LICENSE"
