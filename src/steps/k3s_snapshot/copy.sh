{
# Copies the sqlite datastore of a K3s that runs: database, folder, name, unit, and two numbers of seconds: what a copy may take,
# and when K3s is thawed at the latest, by systemd, whatever becomes of this script.
# K3s stands still while the database and its log are copied, so that both are of one moment: what sqlite finds after a
# power cut, and is made to go on from. Only the main process is stopped. It alone writes the database, which is looked at;
# the unit's control group also holds containerd and the shims of every pod, which `systemctl freeze` would stop as well,
# without a limit of its own. How long it takes is measured on a first copy, while K3s still runs.
exec </dev/null
umask 077
db=$2 folder=$3 name=$4 unit=$5 most=$6 limit=$7
part=$folder/.$name.part
main='' watch='' frozen='' checked='' said=''

# Hundredths of a second since the host was started.
now() {
  read -r up rest </proc/uptime
  echo "${up%.*}${up#*.}"
}
thaw() {
  if [ -n "$main" ]; then kill -s CONT "$main" 2>/dev/null; fi
  if [ -n "$watch" ]; then systemctl stop "$watch.service" 2>/dev/null; fi
  watch=''
}
fail() {
  thaw
  rm -rf "$part"
  printf '%s; or copy it yourself while K3s is stopped, and say so with --own-backup\n' "$1" >&2
  exit 1
}
trap thaw EXIT
trap 'fail "the copy was ended from outside"' HUP INT TERM PIPE

size() { stat -c %s "$1"; }
# Whether a process has the database open. What it opens and closes meanwhile is no matter.
opens() {
  for fd in /proc/"$1"/fd/*; do
    if [ "$fd" -ef "$db" ]; then return 0; fi
  done
  return 1
}
# Processes beside K3s that may: sqlite keeps a lock as long as it has a database with a write-ahead log open. The list of locks
# moves while it is read, so it is read several times.
others() {
  inode=$(stat -L -c %i "$db")
  for _ in 1 2 3; do grep -F ":$inode " /proc/locks; done | while read -r _ kind _ _ pid _; do
    if [ "$kind" = POSIX ] && [ "$pid" != "$main" ]; then echo "$pid"; fi
  done | sort -u
}
# That K3s can write the database and nobody else can.
alone() {
  [ -z "$main" ] || opens "$main" ||
    fail "process $main of $unit has not opened $db, so that stopping it would not keep the file as it is"
  for pid in $(others); do
    ! opens "$pid" ||
      fail "process $pid ($(cat /proc/"$pid"/comm 2>/dev/null)) has $db open beside K3s: end it for the time of the copy"
  done
  [ ! -s "$db-journal" ] || fail "$db has a rollback journal: it is not run with a write-ahead log, as K3s does"
}
copy() {
  timeout "$1" cp $reflink "$db" "$part/state.db" || return 1
  [ ! -e "$db-wal" ] || timeout "$1" cp $reflink "$db-wal" "$part/state.db-wal"
}
# Whether every thread of K3s stands still.
still() {
  states=$(cat /proc/"$main"/task/*/status 2>/dev/null | grep '^State:')
  [ -n "$states" ] && ! echo "$states" | grep -q -v 'T (stopped)'
}
freeze() {
  # In a unit of its own: it thaws even when the session that this script is part of is killed.
  systemd-run --quiet --unit="keyroll-thaw-$$-$try" sh -c 'sleep "$1"; kill -s CONT "$2" || :' thaw "$limit" "$main" \
    >/dev/null 2>&1 || fail "systemd-run cannot start what would thaw K3s whatever happens, so it is not stopped"
  watch=keyroll-thaw-$$-$try
  begun=$(now)
  kill -s STOP "$main" || fail "process $main of $unit cannot be stopped for a moment"
  until still; do
    [ $(($(now) - begun)) -lt 100 ] || return 1
  done
}
# What sqlite itself says of the copy; it is only read.
check() {
  if command -v sqlite3 >/dev/null; then
    by=sqlite3
    said=$(timeout 240 sqlite3 -batch -noheader -list -readonly "$part/state.db" 'PRAGMA integrity_check(1);' 2>&1)
  elif python3 -c 'import sqlite3' 2>/dev/null; then
    by="python3's sqlite3"
    said=$(timeout 240 python3 -c 'import pathlib, sqlite3, sys
uri = pathlib.Path(sys.argv[1]).as_uri() + "?mode=ro"
print(sqlite3.connect(uri, uri=True).execute("PRAGMA integrity_check(1)").fetchone()[0])' "$part/state.db" 2>&1)
  else
    checked="NOT checked there by sqlite, as neither sqlite3 nor python3 with it is there: only its headers are looked at"
    return 0
  fi
  [ "$said" = ok ] || fail "the copy is damaged: $by says $said"
  checked="$by checked it there: it is whole"
}

[ ! -e "$folder/$name" ] || fail "$folder/$name is there already"
main=$(systemctl show -p MainPID "$unit") || fail "the process of $unit is not known"
main=${main#MainPID=}
[ "$main" != 0 ] || main=''
alone
rm -rf "$part"
mkdir -p "$part" || fail "$part cannot be made"
reflink=''
if cp --reflink=auto /dev/null "$part/state.db" 2>/dev/null; then reflink=--reflink=auto; fi

took=''
for _ in 1 2; do
  rm -f "$part/state.db" "$part/state.db-wal"
  begun=$(now)
  copy 60 || fail "$db cannot be copied"
  took=$(($(now) - begun))
  # What was not in memory is now.
  [ "$took" -gt $((most * 50)) ] || break
done
bytes=$(size "$part/state.db")
mib=$((bytes / 1048576))
[ -z "$main" ] || [ "$took" -le $((most * 50)) ] ||
  fail "$db has $mib MiB, and a copy took $((took * 10)) ms: K3s would stand still for too long, and was not stopped"

if [ -n "$main" ]; then
  for try in 1 2 3; do
    rm -f "$part/state.db" "$part/state.db-wal"
    why="its threads did not stand still"
    if freeze; then
      alone
      why="a copy took longer than $most s"
      # Nobody has thawed it before all was copied.
      if copy "$most" && still; then frozen=$(($(now) - begun)); fi
    fi
    thaw
    [ -z "$frozen" ] || break
    sleep 1
  done
  [ -n "$frozen" ] || fail "K3s was stopped for a moment $try times, and each time $why; it goes on, and nothing was copied"
fi

bytes=$(size "$part/state.db")
[ -e "$part/state.db-wal" ] || : >"$part/state.db-wal"
log=$(size "$part/state.db-wal")
[ "$(head -c 15 "$part/state.db")" = "SQLite format 3" ] || fail "$db is no sqlite database"
check
rm -f "$part/state.db-shm"
{ chmod 600 "$part"/* && sync && mv -T "$part" "$folder/$name" && sync; } || fail "$folder/$name cannot be made"
trap - EXIT
if [ -n "$main" ]; then stood="K3s stood still for $((frozen * 10)) ms"; else stood="K3s did not run"; fi
printf '%s: %s bytes and a log of %s; %s; %s\n' "$folder/$name" "$bytes" "$log" "$stood" "$checked"
exit 0
}
