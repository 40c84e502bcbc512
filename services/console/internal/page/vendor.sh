#!/usr/bin/env bash
# Fetches the libraries of the pages from npm, checks them and writes them below
# static/ with their licences. A new version: change the lines below, run it, and look
# at what changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# package version file-in-package file-here sha256
while read -r package version from to sum; do
	if [ ! -d "$work/$package" ]; then
		(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
		mkdir "$work/$package"
		tar -xzf "$work/$package-$version.tgz" -C "$work/$package"
	fi
	cp "$work/$package/package/$from" "static/$to"
	echo "$sum  static/$to" | sha256sum --check --quiet
done <<'LIST'
htmx.org 4.0.1 dist/htmx.min.js htmx.js a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130
htmx.org 4.0.1 LICENSE htmx.LICENSE d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38
uplot 1.6.32 dist/uPlot.iife.min.js uplot.js 19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f
uplot 1.6.32 dist/uPlot.min.css uplot.css df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04
uplot 1.6.32 LICENSE uplot.LICENSE 8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd
LIST
