file=$1; words=$2; unit=$3; shift 3; umask 077
if said=$("$@" 2>&1); then word=yes
else
  id=$(printf '%s\n' "$said" | sed -n 's/.*\(token error ID [0-9]*\).*/\1/p' | head -n 1)
  [ -n "$id" ] || { printf '%s\n' "$said" >&2; exit 1; }
  [ -n "$file" ] || exit 0
  for wait in 1 1 2 0; do
    why=$(journalctl -q --no-pager -o cat -n 2000 -u "$unit" | grep -F "$id:") && break
    sleep "$wait"
  done
  case $why in *"encrypted with different token"*) word=no ;; *) printf '%s\n' "$said" "$why" >&2; exit 1 ;; esac
fi
[ -n "$file" ] || exit 0
mkdir -p "${file%/*}" && printf '%s %s\n' "$words" "$word" >"$file.new" && mv -f "$file.new" "$file"
