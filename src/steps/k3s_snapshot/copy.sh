{
# Copies the sqlite datastore of a K3s that runs: database, folder, name, unit, server/token.
# The database changes only when sqlite folds its log into it. So it is copied while K3s runs, and K3s stands still only
# while it is seen that the database did not change meanwhile and the log is copied: a moment, and never longer than $limit.
exec </dev/null
umask 077
db=$2 folder=$3 name=$4 unit=$5 token=$6
limit=5
part=$folder/.$name.part
main='' watch='' frozen=0 tries=0 whole=''

thaw() {
  if [ -n "$main" ]; then kill -s CONT "$main" 2>/dev/null; fi
  if [ -n "$watch" ]; then kill "$watch" 2>/dev/null; fi
  watch=''
}
fail() {
  thaw
  rm -rf "$part"
  printf '%s\n' "$1" >&2
  exit 1
}
trap thaw EXIT
trap 'fail "the copy was ended from outside"' HUP INT TERM PIPE

# Hundredths of a second since the host was started.
now() {
  read -r up rest </proc/uptime
  echo "${up%.*}${up#*.}"
}
# The database's last change and its length.
mark() { stat -c '%Y %s' "$db"; }
# Whether the last change is old enough for the next one to show in whole seconds.
settled() {
  changed=$(stat -c %Y "$db") && [ "$changed" -lt "$(($(date +%s) - 1))" ]
}
# Whether every thread of K3s stands still.
still() {
  [ -z "$(cat /proc/"$main"/task/*/status 2>/dev/null | grep '^State:' | grep -v 'T (stopped)')" ]
}
freeze() {
  [ -n "$main" ] || return 0
  # In a session of its own: it thaws even when this script is killed with all its children.
  thawing="sleep $limit; kill -s CONT $main"
  if command -v setsid >/dev/null; then
    setsid sh -c "$thawing" >/dev/null 2>&1 &
  else
    (trap '' HUP INT TERM; eval "$thawing") >/dev/null 2>&1 &
  fi
  watch=$!
  kill -s STOP "$main" || fail "process $main of $unit cannot be stopped for a moment"
  looks=0
  until still; do
    looks=$((looks + 1))
    [ "$looks" -lt 200 ] || return 1
  done
}
# The log as it stands; sqlite takes an empty one for none.
copy_log() {
  if [ -e "$db-wal" ]; then
    cp "$db-wal" "$part/state.db-wal" && cmp -s "$db-wal" "$part/state.db-wal"
  else
    : >"$part/state.db-wal"
  fi
}

[ ! -e "$folder/$name" ] || fail "$folder/$name is there already"
[ ! -e "$db-journal" ] || fail "$db has a rollback journal: K3s does not run it with a write-ahead log as it should"
main=$(systemctl show -p MainPID "$unit") || fail "the process of $unit is not known"
main=${main#MainPID=}
[ "$main" != 0 ] || main=''
if [ -n "$main" ]; then
  real=$(readlink -f "$db")
  opened=$(ls -l "/proc/$main/fd") || fail "what process $main of $unit has opened cannot be seen"
  case $opened in
    *"-> $real"*) ;;
    *) fail "process $main of $unit has not opened $real, so that stopping it would not keep the file as it is" ;;
  esac
fi
rm -rf "$part"
mkdir -p "$part" || fail "$part cannot be made"

while [ -z "$whole" ]; do
  tries=$((tries + 1))
  [ "$tries" -le 5 ] || fail "K3s changed its database during each of 5 copies: it is too busy now"
  waits=0
  until settled; do
    waits=$((waits + 1))
    [ "$waits" -le 30 ] || fail "K3s changes its database all the time: it is too busy now"
    sleep 1
  done
  before=$(mark)
  cp "$db" "$part/state.db" || fail "$db cannot be copied"
  begun=$(now)
  if freeze && [ "$(mark)" = "$before" ] && copy_log; then
    # Nobody has thawed it before its log was copied.
    if [ -z "$main" ] || still; then whole=yes; fi
  fi
  thaw
  if [ -n "$main" ]; then frozen=$((frozen + ($(now) - begun) * 10)); fi
done

size=$(stat -c %s "$part/state.db")
[ "$size" = "${before#* }" ] || fail "$db was not copied whole"
cp "$token" "$part/token" || fail "$token cannot be copied"
if command -v sqlite3 >/dev/null; then
  said=$(timeout 240 sqlite3 "$part/state.db" 'PRAGMA integrity_check(1);' 2>&1)
  [ "$said" = ok ] || fail "the copy is damaged: $said"
  rm -f "$part/state.db-shm"
  [ -e "$part/state.db-wal" ] || : >"$part/state.db-wal"
fi
chmod 600 "$part"/* && sync && mv -T "$part" "$folder/$name" && sync || fail "$folder/$name cannot be made"
trap - EXIT
printf '%s: %s bytes; K3s stood still for %s ms\n' "$folder/$name" "$size" "$frozen"
exit 0
}
