#!/usr/bin/env bash
# Dresses hosts of a running lab cluster as installers leave them: dress.sh NAME HOST=INSTALLER...
#
# A host keeps its data and its node; its configuration and unit are those of the installer. Node names must be the
# hosts' own, since most installers set none. NAME, LAB: as for k3s.sh. The installers are the folders in
# src/sim/dress. Servers come one after the other, in the order that is given; agents all at once, at the end.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${TMPDIR:-/tmp}/keyroll-lab}
[ $# -ge 2 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
plan=$LAB/clusters/$1
shift

token=$(cat "$plan/token")
read -r first _ <"$plan/plan"
full="K10$(sha256sum <"$LAB/run/$first/root/var/lib/rancher/k3s/server/tls/server-ca.crt" | cut -d' ' -f1)::server:$token"
address=10.77.0.$((${first#h} + 1))

role_of() {
  [ "$1" != "$first" ] || { echo server; return; }
  case $(grep "^$1 " "$plan/plan") in
    "$1 $1 server"*) echo joiner ;;
    "$1 $1 agent"*) echo agent ;;
    *) printf 'dress: the plan has no %s under its own name\n' "$1" >&2; return 1 ;;
  esac
}

# dress HOST INSTALLER
dress() {
  local host=$1 installer=$2 role pid unit units=$LAB/run/$1/root/etc/systemd/system tuning
  role=$(role_of "$host")
  pid=$("$HERE/lab.sh" pid "$host")
  on() { timeout 120 nsenter -t "$pid" -a -- "$@"; }
  tuning=$(cat "$units"/k3s*.service.d/standin.conf)
  # shellcheck disable=SC2016 # expanded inside the host
  on sh -c 'systemctl stop "k3s*.service"; systemctl reset-failed
    rm -rf /etc/rancher/k3s/config.yaml* /etc/rancher/k3s/*token /run/secrets* /nix /etc/systemd/system/k3s* \
      /etc/systemd/system/multi-user.target.wants/k3s*'
  # From inside, since /run is a file system of the host's own.
  unit=$(printf '%s\n%s\n' "$token" "$full" | on /usr/local/bin/k3s dress / "$installer" "$role" "$address" "$host")
  mkdir -p "$units/$unit.d"
  printf '%s\n' "$tuning" >"$units/$unit.d/standin.conf"
  ln -sf "/etc/systemd/system/$unit" "$units/multi-user.target.wants/"
  on sh -c "systemctl daemon-reload && timeout 100 systemctl start $unit"
}

begun=()
for wish in "$@"; do
  host=${wish%%=*} installer=${wish#*=}
  if [ "$(role_of "$host")" = agent ]; then
    dress "$host" "$installer" &
    begun+=($!)
  else
    dress "$host" "$installer"
  fi
done
for pid in "${begun[@]}"; do wait "$pid"; done
