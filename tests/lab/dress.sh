#!/usr/bin/env bash
# Dresses a host of a running lab cluster as an installer leaves it: dress.sh hN INSTALLER
#
# The host keeps its data and its node; its configuration and unit are those of the installer. LAB, STANDIN: as for k3s.sh.
# The installers are the folders in src/sim/dress.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${TMPDIR:-/tmp}/keyroll-lab}
STANDIN=${STANDIN:-$HERE/../../target/debug/k3s-standin}
[ $# = 2 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
host=$1 installer=$2

pid=$("$HERE/lab.sh" pid "$host")
on() { timeout 120 nsenter -t "$pid" -a -- "$@"; }
root=$LAB/run/$host/root units=$LAB/run/$host/root/etc/systemd/system
read -r servers _ <"$LAB/cluster/size"
role=agent
[ "${host#h}" -gt "$servers" ] || role=joiner
[ "$host" != h1 ] || role=server
token=$(cat "$LAB/token")
full="K10$(sha256sum <"$LAB/run/h1/root/var/lib/rancher/k3s/server/tls/server-ca.crt" | cut -d' ' -f1)::server:$token"
tuning=$(cat "$units"/k3s*.service.d/standin.conf)

on sh -c 'systemctl stop "k3s*.service"; systemctl reset-failed'
rm -rf "$root"/etc/rancher/k3s/config.yaml* "$root"/etc/rancher/k3s/*token "$units"/k3s* "$units"/multi-user.target.wants/k3s*
unit=$(printf '%s\n%s\n' "$token" "$full" | "$STANDIN" dress "$root" "$installer" "$role" 10.77.0.2 "$host")
mkdir -p "$units/$unit.d"
printf '%s\n' "$tuning" >"$units/$unit.d/standin.conf"
ln -sf "/etc/systemd/system/$unit" "$units/multi-user.target.wants/"
on sh -c "systemctl daemon-reload && timeout 100 systemctl start $unit"
