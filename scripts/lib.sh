# shellcheck shell=bash
# What the scripts share; sourced by them, with `set -euo pipefail` on. Everything is said on stderr.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$project/target}

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# as_root COMMAND...: runs it as root if that needs no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

may_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

lists_are_fresh=
# install PACKAGE...: Debian packages, or a word on which ones to install.
install() {
  may_install || die "please install: $* (these are Debian's names; I am not root and have no apt-get)"
  say "installing $*"
  if [ -z "$lists_are_fresh" ]; then
    as_root apt-get update -qq >/dev/null || say "apt-get update failed; trying with the old lists"
    lists_are_fresh=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    die "please install: $*"
}

# Where programs are that a user without a login shell does not find.
PATH=$PATH:/usr/sbin:/sbin

# need PROGRAM PACKAGE: the program, from the package where it is missing.
need() { command -v "$1" >/dev/null || install "$2"; }

# Rust as new as Cargo.toml asks for. It is not installed: which toolchain a machine has is its owner's choice.
need_rust() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$project/Cargo.toml")
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
  command -v cargo >/dev/null || die "please install Rust $wanted or newer, with rustup: Debian's own is too old"
  have=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -1)" = "$wanted" ] ||
    die "Rust $have is too old: \`rustup update\` for $wanted or newer"
  # aws-lc, the TLS provider's core, is C.
  need cc build-essential
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# A Docker Engine that answers: the one DOCKER_HOST or the context names, or the installed one, started if need be.
need_engine() {
  need docker docker.io
  engine_answers && return
  [ -z "${DOCKER_HOST:-}" ] || die "no Docker Engine answers at $DOCKER_HOST"
  need dockerd docker.io
  say "starting the Docker Engine"
  as_root service docker start >/dev/null 2>&1 || true
  for _ in $(seq 50); do
    engine_answers && return
    sleep 0.2
  done
  die "no Docker Engine answers: start one, or let this user reach it (group docker), or set DOCKER_HOST"
}

# The referees' Python tools, in .venv of the project; made again when the pinned versions change.
need_venv() {
  local wanted=$project/tests/referees/requirements.txt venv=$project/.venv
  cmp -s "$wanted" "$venv/made-from.txt" && return
  need python3 python3
  rm -rf "$venv"
  if ! python3 -m venv "$venv" >/dev/null 2>&1; then
    install python3-venv
    python3 -m venv "$venv"
  fi
  say "installing $(grep -v '^#' "$wanted" | tr '\n' ' ')into .venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" ||
    die "pip could not install $wanted"
  cp "$wanted" "$venv/made-from.txt"
}

# slipway, with the features that its dependencies have in tests: without a test among the targets, cargo would unite
# fewer of them, and compile the AWS clients a second time for the tests.
build_slipway() {
  cargo build --quiet --locked --manifest-path "$project/Cargo.toml" --bin slipway --test it
}

# The example's binary, static, where its Dockerfile finds it. Whoever asks for a status calls it where nothing fails by
# itself, so it says of each step what it does about its failure.
build_hello() {
  local triple
  triple=$(rustc -vV | sed -n 's/^host: //p') || return
  # With an explicit --target, cargo keeps the flags to the program itself.
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked --release \
    --manifest-path "$project/examples/hello/Cargo.toml" --target-dir "$target/hello" --target "$triple" || return
  mkdir -p "$project/examples/hello/bin" || return
  # A new file of the same bytes would be a new build for no reason.
  cmp -s "$target/hello/$triple/release/hello" "$project/examples/hello/bin/hello" ||
    cp "$target/hello/$triple/release/hello" "$project/examples/hello/bin/hello"
}

# The tool by which benchmarks and referees call what carries artifacts; prints its path. PROFILE is dev or release.
# slipway is built by the same call, since alone its dependencies would have fewer features, and be compiled once more.
build_artifacts() {
  cargo build --locked --manifest-path "$project/Cargo.toml" --bin slipway --bench artifacts --profile "${1:-dev}" \
    --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/artifacts-[0-9a-f]*\)".*/\1/p'
}
