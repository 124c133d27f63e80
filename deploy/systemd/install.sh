#!/usr/bin/env bash
# Installs or upgrades Portico as a systemd service on the Debian and RHEL families.
#
#   sudo deploy/systemd/install.sh [--dry-run] [--wheel FILE]
#
# Safe to repeat. A version lives in /opt/portico/versions/VERSION and comes from the
# hash-pinned lock; /opt/portico/bin points at the one in use. The site in /etc/portico and
# the data in /var/lib/portico are never overwritten. It starts and restarts nothing.
set -euo pipefail

dry= wheel= scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
usage() { sed -n '2,4p' "$0" | sed 's/^# \{0,3\}//'; }
say() { printf '%s\n' "$*" >&2; }
die() { say "install: $*"; exit 1; }
run() { if [ -n "$dry" ]; then printf '+'; printf ' %q' "$@"; echo; else "$@"; fi; }

while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry=yes ;;
    --wheel) wheel=${2:?"--wheel needs a file"}; shift ;;
    --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $1" ;;
  esac
  shift
done

[ -n "$dry" ] || [ "$(id -u)" -eq 0 ] || die "needs root; try it with --dry-run to see what it would do"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_root=$(cd "$here/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source_root/pyproject.toml")
[ -n "$version" ] || die "no version in $source_root/pyproject.toml"
[ -z "$wheel" ] || [ -f "$wheel" ] || die "no such wheel: $wheel"
case "$wheel" in
  "" | portico-"$version"-*.whl | */portico-"$version"-*.whl) ;;
  *) die "$wheel is not version $version of Portico" ;;
esac
target=/opt/portico/versions/$version

family() {
  local ID='' ID_LIKE=''
  [ -r /etc/os-release ] && . /etc/os-release
  case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*) echo debian ;;
    *" rhel "* | *" fedora "* | *" centos "*) echo rhel ;;
    *) die "neither of the Debian nor of the RHEL family" ;;
  esac
}

# Recent enough, and where the service may read it (homes are hidden from it).
fits() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.base_prefix.startswith(("/root/", "/home/")))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} {,/usr/bin/}python3.{14,13,12,11} {,/usr/bin/}python3; do
    if fits "$candidate"; then command -v "$candidate"; return; fi
  done
}

install_python() {
  case "$(family)" in
    debian)
      run apt-get update -qq
      run apt-get install -y -qq --no-install-recommends python3 python3-venv
      ;;
    rhel) run dnf install -y -q python3.11 ;;
  esac
}

install_packages() { # python, lock
  run "$1" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2"
}

build_wheel() { # where; the builder comes from the development lock, by its hashes too
  run "$python" -m venv "$1/venv"
  install_packages "$1/venv/bin/python" "$source_root/requirements-dev.lock"
  run "$1/venv/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation \
    --wheel-dir "$1" "$source_root"
}

install_version() {
  if [ -x "$target/bin/portico" ]; then
    say "version $version is already in $target; remove that folder to install it anew"
    return
  fi
  if [ -z "$wheel" ]; then
    [ -n "$dry" ] || scratch=$(mktemp -d)
    build_wheel "${scratch:-SCRATCH}"
    wheel=${scratch:-SCRATCH}/portico-$version-py3-none-any.whl
  fi
  run rm -rf "$target"
  run "$python" -m venv "$target"
  install_packages "$target/bin/python" "$source_root/requirements.lock"
  run "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$wheel"
  run install -D -m 0644 "$source_root/README.md" "$target/share/doc/README.md"
}

use_version() { # the switch is one rename
  run ln -sfn "versions/$version/bin" /opt/portico/bin.new
  run mv -T /opt/portico/bin.new /opt/portico/bin
  run ln -sfn "versions/$version/share" /opt/portico/share.new
  run mv -T /opt/portico/share.new /opt/portico/share
}

install_units() {
  run install -D -m 0644 "$here/portico.sysusers" /usr/lib/sysusers.d/portico.conf
  run install -D -m 0644 "$here/portico.tmpfiles" /usr/lib/tmpfiles.d/portico.conf
  run install -D -m 0644 "$here/portico.service" /usr/lib/systemd/system/portico.service
  run systemd-sysusers /usr/lib/sysusers.d/portico.conf
  run systemd-tmpfiles --create /usr/lib/tmpfiles.d/portico.conf
  if [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
}

umask 022
family >/dev/null
python=$(find_python)
if [ -z "$python" ] || ! "$python" -c 'import ensurepip' 2>/dev/null; then
  install_python
  python=$(find_python)
  [ -n "$python" ] || [ -n "$dry" ] || die "needs Python 3.11 or later; set PYTHON=..."
  python=${python:-python3.11}
fi
install_version
install_units
use_version
say "installed Portico $version"
[ -e /etc/portico/config/portico.yaml ] || say "next: put a site into /etc/portico (config/, channels/, transforms/)"
say "then: systemctl enable --now portico    or, after an upgrade: systemctl restart portico"
