# Sourced by demo.sh, test.sh, .ci/run and tests/matrix.sh: installs what is missing on Debian, and says what can't be installed from here.

# The .NET SDK is not in Debian; everything else is.
need_dotnet() {
  if ! command -v dotnet >/dev/null || ! [[ $'\n'$(dotnet --list-sdks) == *$'\n10.'* ]]; then
    echo "error: the .NET SDK 10 is missing" >&2
    echo "hint: install it from https://dotnet.microsoft.com/download/dotnet/10.0, then run this again" >&2
    exit 4
  fi
}

# need_packages "test command" package … : installs the packages unless the command succeeds.
need_packages() {
  local check=$1
  shift
  if eval "$check" >/dev/null 2>&1; then return 0; fi
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "error: the packages $* are missing, and this user is not root and has no sudo" >&2
      echo "hint: as root: apt-get install $*" >&2
      exit 4
    fi
    sudo=(sudo)
  fi
  echo "installing $*" >&2
  # A server package would start a cluster of its own and take port 5432; ours are private.
  "${sudo[@]}" mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null
  if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
    echo "error: apt-get could not install $*" >&2
    echo "hint: run apt-get install $* yourself to see why" >&2
    exit 4
  fi
}

need_programs() {
  need_packages 'test -x /usr/lib/postgresql/15/bin/initdb' postgresql-15
  need_packages 'command -v age' age
  need_packages 'command -v gpg' gnupg
  need_packages 'command -v zstd && compgen -G "/usr/lib/*/libzstd.so.1"' zstd libzstd1
}

# Publishes the executable as it is shipped: compiled ahead of time, which takes a linker; elsewhere than on x64 it is compiled at run time.
publish_shbackup() {
  local how=(-p:PublishAot=false)
  if [ "$(uname -m)" = x86_64 ]; then
    need_packages 'command -v clang || command -v gcc' gcc libc6-dev
    how=(-r linux-x64)
  fi
  # The analysers run in the build of the whole solution.
  dotnet publish src/SoundHash.Backup.Cli -c Release "${how[@]}" -p:RunAnalyzers=false -o artifacts/shbackup -v quiet --nologo
}
