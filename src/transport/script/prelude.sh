exec </dev/null 3>&-
LC_ALL=C
PATH=${PATH:-}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
export LC_ALL PATH
# begin: notes the time
b() {
  u0=
  { read -r u0 u1 </proc/uptime; } 2>/dev/null
}
# answer: prints the markers of request $1, whose status is $?
a() {
  s=$?
  u1=
  { read -r u1 u2 </proc/uptime; } 2>/dev/null
  printf '%s:%s:%s:%s:%s\n' "$N" "$1" "$s" "$u0" "$u1"
  printf '%s:%s\n' "$N" "$1" >&2
}
# end: prints the trailer
e() {
  printf '%s:end\n' "$N"
  printf '%s:end\n' "$N" >&2
  exit 0
}
# refuse: says why
r() {
  printf '%s\n' "$1" >&2
  return 126
}
# only a builtin keeps what it prints off the process list
p() {
  case $(type printf) in
    *builtin*) ;;
    *) r 'this sh has no builtin printf, so a secret would be seen in the list of processes' ;;
  esac
}
# runs a command for at most $1 seconds
if timeout -k 1 1 true 2>/dev/null; then
  t() { n=$1; shift; timeout -k 5 "$n" "$@"; }
elif timeout 1 true 2>/dev/null; then
  t() { n=$1; shift; timeout "$n" "$@"; }
else
  t() { shift; "$@"; }
fi
# syncs a file or directory; an old sync takes no argument and syncs everything
f() {
  m=$(t 60 sync "$1" 2>&1) && return
  case $m in
    *'Input/output error'* | *'No space left'* | *'quota exceeded'*) r "$m" ;;
    *) t 60 sync ;;
  esac
}
# gives $2 the owner, group, ACL, extended attributes and SELinux context of $1
o() {
  q=mode,ownership,xattr
  ! [ -e /sys/fs/selinux/enforce ] || q=$q,context
  m=$(t 30 cp --attributes-only --preserve=$q "$1" "$2" 2>&1) && return
  case $m in
    *option* | *'without xattr support'*) ;;
    *) r "$m" || return ;;
  esac
  case $(t 30 ls -ldL "$1") in
    ??????????+*) r "$1 has an ACL, and the cp of this host cannot keep one" || return ;;
  esac
  m=$(t 30 stat -L -c %u:%g "$1") && chown "$m" "$2" || return
  if [ -e /sys/fs/selinux/enforce ] && command -v chcon >/dev/null; then
    chcon --reference="$1" "$2"
  fi
}
# makes a folder that nobody else can enter, in it an empty file with this mode and what this path has (or empty)
k() {
  mkdir -m 700 "$1" && : >"$2" || return
  [ -z "$4" ] || o "$4" "$2" || return
  chmod "$3" "$2"
}
# finishes a write: temporary file, target, directory, length
w() {
  [ "$(($(wc -c <"$1")))" -eq "$4" ] || r "$1 was not written whole" || return
  f "$1" && t 60 mv -fT "$1" "$2" && f "$3"
}
# whether two directories are on one file system: mv would copy otherwise
d() {
  [ "$(t 30 stat -L -c %d "$1")" = "$(t 30 stat -L -c %d "$2")" ] || r "$1 and $2 are not in one file system"
}
# moved: says what is not as it was
v() {
  printf '%s\n' "$1" >&2
  return 118
}
# goes on only when $1 is as it was: a file with digest $2; nothing; a directory whose names have digest $2
g() {
  [ -e "$1" ] || v "$1 was removed since it was looked at" || return
  m=$(t 30 sha256sum <"$1") || return
  [ "${m%% *}" = "$2" ] || v "$1 was changed since it was looked at"
}
n() {
  ! [ -e "$1" ] || v "$1 was made since it was looked at"
}
l() {
  m=$({ ! [ -d "$1" ] || t 30 ls -A "$1/"; } | t 30 sha256sum) || return
  [ "${m%% *}" = "$2" ] || v "files in $1 came or went since it was looked at"
}
# removes a file or an empty directory
x() {
  if [ -d "$1" ] && ! [ -L "$1" ]; then rmdir "$1"; else rm -f "$1"; fi || return
  if [ -d "$2" ]; then f "$2"; fi
}
# prints those of the paths $2... that are there: each one's path, what stat says, and its bytes or nothing (at most $1),
# each ended; all of them within one deadline, for two programs a file instead of four
y() {
  j=$1
  shift
  t 30 sh -c '
N=$1 j=$2
shift 2
for i do
  [ -e "$i" ] || [ -L "$i" ] || continue
  printf "%s\000" "$i"
  stat -c "%f %u %g %s %.9Y %.9Z" "$i"
  if [ -L "$i" ]; then readlink "$i"; fi
  printf "\000"
  if [ -f "$i" ] && [ -r "$i" ]; then printf +; head -c "$j" "$i"; fi
  printf "\000%s\000" "$N"
done
exit 0' sh "$N" "$j" "$@"
}
# prints the environment of the main process of each of these units
h() {
  j=$1
  shift
  m=$(t 30 systemctl show -p MainPID "$@" 2>/dev/null)
  set --
  for i in $m; do
    i=${i#MainPID=}
    case $i in
      0 | '' | *[!0-9]*) ;;
      *) set -- "$@" "/proc/$i/environ" ;;
    esac
  done
  y "$j" "$@" 2>/dev/null
}
printf '%s:start\n' "$N"
printf '%s:start\n' "$N" >&2
