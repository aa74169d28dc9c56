#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes a go.mod for Kubernetes VERSION to stdout. Its staging modules, which Kubernetes' own go.mod takes from folders
# of its repository, are taken from their releases of the same version. Needs go and the module proxy.
set -eu
version=${1:-1.34.0}
found=$(cd / && go mod download -json "k8s.io/kubernetes@v$version") || {
    echo "$found" | sed -n 's/^\t"Error": "\(.*\)"$/\1/p' >&2
    exit 1
}
kubernetes=$(echo "$found" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')

echo "module tallyman/live/hyper"
echo
sed -n 's/^go /&/p; s/^godebug default=/&/p' "$kubernetes"
echo
echo "require k8s.io/kubernetes v$version"
echo
echo "replace ("
sed -n "s|^\t\(k8s.io/[a-z-]*\) => ./staging.*|\t\1 => \1 v0.${version#1.}|p" "$kubernetes"
echo ")"
