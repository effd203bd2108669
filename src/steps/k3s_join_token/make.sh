{
# Makes a join token and keeps it in a file: k3s, kubeconfig, file, how long it lives, what it is for, and where k3s has
# unpacked itself, as its own argument, when that is not the usual place.
# The token goes from K3s into the file and nowhere else; what is said of it is its id.
exec </dev/null
umask 077
k3s=$2 admin=$3 file=$4 ttl=$5 what=$6 data=${7-}
part=$(dirname "$file")/.$(basename "$file").keyroll-part
id=''

# A token whose secret nobody has is revoked at once where its id is known; the next look finds it by its description.
fail() {
  rm -f "$part"
  if [ -n "$id" ] && "$k3s" token delete ${data:+"$data"} --kubeconfig="$admin" "$id" >/dev/null 2>&1; then
    set -- "$1; the join token $id is revoked again"
  fi
  printf '%s\n' "$1" >&2
  exit 1
}
trap 'fail "it was ended from outside, and a join token for \"$what\" may have been made: the same command looks, and revokes it"' HUP INT TERM PIPE

# As long as a token is, so that there is room for it.
rm -f "$part"
{ printf '%93s' '' >"$part" && sync; } || fail "$part cannot be written, and no join token was made"
"$k3s" token create ${data:+"$data"} --kubeconfig="$admin" --ttl="$ttl" --description="$what" >"$part" ||
  fail "K3s made no join token"
id=$(sed -n 's/^K10[0-9a-f]\{64\}::\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}$/\1/p' "$part")
[ -n "$id" ] ||
  fail "K3s has made a join token for \"$what\", and what it said of it is none that can be kept: the same command looks, and revokes it"
{ sync && mv -f -T "$part" "$file" && sync; } || fail "$file cannot be made"
trap - HUP INT TERM PIPE
printf 'join token %s is in %s\n' "$id" "$file"
exit 0
}
