#!/usr/bin/env bash
# Builds shbackup and runs every test against real PostgreSQL, age and gpg. Installs what is missing (Debian 12, root or sudo).
# Usage: ./test.sh [FILTER]   FILTER as of dotnet test --filter, e.g. "FullyQualifiedName~Restore"
set -euo pipefail
cd "$(dirname "$0")"
# Tests give files to PostgreSQL's user, and make clusters of Debian's.
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: test.sh needs root or sudo: tests run servers as another user" >&2
    echo "hint: run ./test.sh as root" >&2
    exit 4
  fi
  echo "running as root through sudo" >&2
  exec sudo -E env "PATH=$PATH" ./test.sh "$@"
fi
. scripts/prerequisites.sh
need_dotnet
need_programs
need_packages 'test -x /usr/sbin/pgbouncer' pgbouncer
need_packages 'command -v ssh-keygen' openssh-client
need_packages 'command -v script' bsdutils
need_packages 'command -v ps' procps
need_packages 'command -v strace' strace
need_packages 'command -v swift-proxy-server && command -v swift-account-server && command -v swift-container-server && command -v swift-object-server && command -v memcached' swift-proxy swift-account swift-container swift-object memcached

publish_shbackup
dotnet build SoundHash.Backup.sln -c Release -v quiet --nologo

log=$(mktemp)
# Here tests write what a person wants to know although they passed.
export SHBACKUP_TEST_REPORT=$log.report
touch "$SHBACKUP_TEST_REPORT"
trap 'rm -f "$log" "$log.report"' EXIT
status=0
for project in UnitTests StorageContract IntegrationTests; do
  dotnet test "tests/SoundHash.Backup.$project" -c Release --no-build --nologo ${1:+--filter "$1"} 2>&1 | tee -a "$log" || status=1
done

# "Passed!  - Failed:     0, Passed:    12, Skipped:     0, Total:    12, …", one line a project.
read -r passed failed skipped < <(sed -nE 's/.*Failed: +([0-9]+), Passed: +([0-9]+), Skipped: +([0-9]+),.*/\2 \1 \3/p' "$log" |
  awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
if [ "$skipped" -gt 0 ]; then
  echo "error: $skipped tests were skipped; a test that can't run here is a failure" >&2
  status=1
fi
if [ "$((passed + failed))" -eq 0 ]; then
  echo "error: no test ran" >&2
  status=1
fi
cat "$SHBACKUP_TEST_REPORT"
awk '/^fault sweep/ { sub(/.*: failed /, ""); n += $1 } END { if (n) print "fault sweep: " n " storage calls failed in all, each once" }' "$SHBACKUP_TEST_REPORT"
echo "$passed passed, $failed failed"
exit "$status"
