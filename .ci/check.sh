#!/usr/bin/env bash
# Everything that must hold before a change is shared: the tests, the formatting, clippy and the docs.
# All of it runs in the release profile, so that build scripts (SQLite) and macros are built once.
# A step that fails does not keep the others from running.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=()

step() {
    local name=$1
    shift
    echo
    echo "== $name: $*"
    local start=$SECONDS
    if "$@"; then
        echo "== $name: passed after $((SECONDS - start)) s"
    else
        echo "== $name: FAILED after $((SECONDS - start)) s"
        failed+=("$name")
    fi
}

step formatting cargo fmt --check
# The README's test command.
step tests cargo test --release
step clippy env CLIPPY_CONF_DIR=.ci cargo clippy --release --all-targets -- -D warnings
step docs env RUSTDOCFLAGS=-Dwarnings cargo doc --release --no-deps

echo
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "all passed"
