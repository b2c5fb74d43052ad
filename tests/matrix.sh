#!/usr/bin/env bash
# Runs the integration tests against other versions of PostgreSQL: each with its own Debian in a folder, made by
# debootstrap when it is missing. Needs root, debootstrap and the network; takes about 10 minutes a version.
# Usage: tests/matrix.sh FOLDER [VERSION]... [-- FILTER]      versions: 13 17 18; FILTER as of dotnet test --filter
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
need_dotnet

folder=$(realpath -m "${1:?usage: tests/matrix.sh FOLDER [VERSION]... [-- FILTER]}")
shift
versions=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do versions+=("$1"); shift; done
[ ${#versions[@]} -gt 0 ] || versions=(13 17 18)
filter=${2:-}
# Databases with ICU as their provider are from PostgreSQL 15 on. The .NET runtime, with which that one is tested, takes closed streams for itself
# and does not begin without /proc.
filter_of() {
  if [ "$1" -lt 15 ]; then
    echo "${filter:+($filter)&}FullyQualifiedName!~provider_ICU&FullyQualifiedName!~ClosedStreams&FullyQualifiedName!~where_proc_is_not_mounted"
  else
    echo "$filter"
  fi
}

# The Debian that brings a version. A mirror's sid may be past its date.
suite_of() { case $1 in 13) echo bullseye ;; 17) echo trixie ;; 18) echo sid ;; *) echo "error: no Debian for PostgreSQL $1" >&2; exit 2 ;; esac; }

make_root() { # SUITE VERSION
  local root=$folder/$1
  [ -d "$root" ] && return
  rm -rf "$root.part"
  debootstrap --variant=minbase --include=ca-certificates "$1" "$root.part" http://deb.debian.org/debian >"$folder/$1.log" 2>&1
  # What its packages run when they are installed wants to see processes.
  mount -t proc proc "$root.part/proc"; mounted+=("$root.part/proc")
  chroot "$root.part" sh -ec "export DEBIAN_FRONTEND=noninteractive
    mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    apt-get -o Acquire::Check-Valid-Until=false update -q && apt-get install -y -q --no-install-recommends postgresql-$2 age gnupg zstd util-linux bsdutils procps strace openssh-client pgbouncer libicu-dev" >>"$folder/$1.log" 2>&1
  unmount
  mv "$root.part" "$root"
}

mounted=()
unmount() { for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount "${mounted[i]}" || true; done; mounted=(); }
trap unmount EXIT
bind() { mkdir -p "$2"; mount --bind "$1" "$2"; mounted+=("$2"); }

mkdir -p "$folder"
# What is compiled ahead of time here may not run on an older Debian: there it is compiled at run time.
dotnet publish src/SoundHash.Backup.Cli -c Release -p:PublishAot=false -o "$folder/shbackup" -v quiet --nologo
git checkout --quiet src/SoundHash.Backup.Cli/packages.lock.json
publish_shbackup
dotnet build SoundHash.Backup.sln -c Release -v quiet --nologo
sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
status=0
for version in "${versions[@]}"; do
  root=$folder/$(suite_of "$version")
  make_root "$(suite_of "$version")" "$version"
  # A mount of its own: unshare(1) wants that of a root.
  bind "$root" "$root"
  mount -t proc proc "$root/proc"; mounted+=("$root/proc")
  bind /dev "$root/dev"
  bind /dev/pts "$root/dev/pts"
  bind /dev/shm "$root/dev/shm"
  bind "$sdk" "$root$sdk"
  bind "$PWD" "$root$PWD"
  [ "$version" != 13 ] || bind "$folder/shbackup" "$root$PWD/artifacts/shbackup"
  # For programs that are started without DOTNET_ROOT.
  mkdir -p "$root/etc/dotnet" && echo "$sdk" >"$root/etc/dotnet/install_location"
  own=$(filter_of "$version")
  echo "PostgreSQL $version ($(suite_of "$version"))"
  chroot "$root" env -i PATH="$sdk:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME=/root DOTNET_ROOT="$sdk" DOTNET_CLI_TELEMETRY_OPTOUT=1 \
    SHBACKUP_TEST_PG_BIN="/usr/lib/postgresql/$version/bin" \
    dotnet test "$PWD/tests/SoundHash.Backup.IntegrationTests" -c Release --no-build --nologo ${own:+--filter "$own"} || status=1
  unmount
done
exit "$status"
