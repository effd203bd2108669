#!/usr/bin/env bash
# A K3s cluster on lab hosts, with units and files as get.k3s.io and an operator leave them.
#
#   k3s.sh install SERVERS AGENTS [sqlite]   a fresh cluster on h1..hN, which are up; h1 is the first server
#   k3s.sh remove                            take it from all hosts
#   k3s.sh inventory                         print an inventory in the manner of k3s-ansible
#   k3s.sh tune hN NAME=VALUE...             variables for the stand-in on one host; without any: none of its own
#
# The token is in $LAB/token; it is drawn when that file is not there.
# LAB: as for lab.sh. STANDIN: the stand-in (default: target/debug/k3s-standin). K3S_BIN: a folder with a real `k3s`,
# which is taken instead. LEASE_MS: how often the stand-in renews a lease (default: 10000, as a kubelet does).
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${TMPDIR:-/tmp}/keyroll-lab}
STANDIN=${STANDIN:-$HERE/../../target/debug/k3s-standin}
BINARY=${K3S_BIN:+$K3S_BIN/k3s}
BINARY=${BINARY:-$STANDIN}
PLAN=$LAB/cluster

die() { printf 'k3s: %s\n' "$*" >&2; exit 1; }
lab() { "$HERE/lab.sh" "$@"; }
disk() { echo "$LAB/run/$1/root"; }
address() { echo "10.77.$(($1 / 250)).$(($1 % 250 + 1))"; }
on() { local pid; pid=$(lab pid "$1") || die "$1 is not up"; shift; timeout 120 nsenter -t "$pid" -a -- "$@"; }
hosts() { find "$LAB/run" -maxdepth 1 -name 'h[0-9]*' -printf '%f\n' | sort -V; }

# put HOST PATH MODE < text
put() {
  local file; file=$(disk "$1")$2
  mkdir -p "$(dirname "$file")"
  rm -f "$file"
  (umask 077; cat >"$file")
  chmod "$3" "$file"
}

# The binary is 40 MB: a host gets it once.
put_binary() {
  local file; file=$(disk "$1")/usr/local/bin/k3s
  [ -x "$file" ] && [ ! "$BINARY" -nt "$file" ] && [ "$(stat -c %s "$BINARY")" = "$(stat -c %s "$file")" ] && return
  mkdir -p "$(dirname "$file")"
  rm -f "$file"
  cp "$BINARY" "$file"
  chmod 755 "$file"
}

# unit HOST NAME COMMAND EXTRA_LINE
unit() {
  put "$1" "/etc/systemd/system/$2.service" 644 <<EOF
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/$2.service.env
KillMode=process
Delegate=yes
User=root
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s \\
    $3 \\

EOF
  [ -n "${K3S_BIN:-}" ] || tune "$1" "$2"
  mkdir -p "$(disk "$1")/etc/systemd/system/multi-user.target.wants"
  ln -sf "/etc/systemd/system/$2.service" "$(disk "$1")/etc/systemd/system/multi-user.target.wants/"
}

tune() {
  local host=$1 unit=$2 variable
  shift 2
  {
    echo '[Service]'
    for variable in "STANDIN_STORE=/lab/$(cat "$PLAN/name")" "STANDIN_LEASE_MS=${LEASE_MS:-$(cat "$PLAN/lease")}" "$@"; do
      echo "Environment=$variable"
    done
  } | put "$host" "/etc/systemd/system/$unit.service.d/standin.conf" 644
}

# What a real k3s needs to run inside a lab host, as it was measured there.
for_real() {
  [ -n "${K3S_BIN:-}" ] || return 0
  cat <<EOF
disable: [traefik, servicelb, metrics-server, coredns, local-storage, runtimes]
disable-helm-controller: true
disable-network-policy: true
disable-kube-proxy: true
flannel-backend: none
egress-selector-mode: disabled
EOF
}

for_real_kubelet() {
  [ -n "${K3S_BIN:-}" ] || return 0
  cat <<EOF
snapshotter: native
kubelet-arg:
  - cgroups-per-qos=false
  - enforce-node-allocatable=none
  - fail-swap-on=false
  - fail-cgroupv1=false
  - eviction-hard=nodefs.available<1%
  - local-storage-capacity-isolation=false
EOF
}

# A token in full form needs the CA, which the first server makes.
full() { echo "K10$(sha256sum <"$(disk h1)/var/lib/rancher/k3s/server/tls/server-ca.crt" | cut -d' ' -f1)::server:$token"; }

server() {
  local host=h$1 joins form=$token
  joins="server: https://$(address 1):6443"
  if [ "$1" = 1 ]; then
    joins="cluster-init: true"
    [ "$store" = sqlite ] && joins="# one server, so its datastore is sqlite"
  fi
  [ "$1" = 2 ] && form=$(full)
  {
    cat <<EOF
# K3s on $host. Change the token on all servers at once.
write-kubeconfig-mode: "0600"
$joins
node-name: $host
node-ip: $(address "$1")
tls-san:
  - k3s.lab.example   # the name that people use

token: "$form"   # the join token; it is in the vault
EOF
    if [ -n "${K3S_BIN:-}" ]; then for_real; for_real_kubelet; else echo "disable: [traefik, servicelb]"; fi
  } | put "$host" /etc/rancher/k3s/config.yaml 600
  unit "$host" k3s server
  put "$host" /etc/systemd/system/k3s.service.env 600 </dev/null
}

# get.k3s.io writes both variables with quotes. Each third agent has a full token, and the last one a config file.
agent() {
  local host=h$1 form=$token
  [ $(($1 % 3)) = 0 ] && form=$(full)
  unit "$host" k3s-agent agent
  if [ "$1" = "$count" ]; then
    printf '# An agent with its own file\nserver: https://%s:6443\ntoken: %s  # join token\n' "$(address 1)" "$form" |
      cat - <(for_real_kubelet) | put "$host" /etc/rancher/k3s/config.yaml 640
    put "$host" /etc/systemd/system/k3s-agent.service.env 600 </dev/null
  else
    printf "K3S_TOKEN='%s'\nK3S_URL='https://%s:6443'\n" "$form" "$(address 1)" |
      put "$host" /etc/systemd/system/k3s-agent.service.env 600
    [ -z "${K3S_BIN:-}" ] || for_real_kubelet | put "$host" /etc/rancher/k3s/config.yaml 600
  fi
}

remove() {
  local host root
  for host in $(hosts); do
    on "$host" sh -c 'systemctl kill -s KILL k3s k3s-agent; systemctl stop k3s k3s-agent; systemctl reset-failed' >/dev/null 2>&1 &
  done
  wait
  for host in $(hosts); do
    root=$(disk "$host")
    rm -rf "$root"/var/lib/rancher "$root"/etc/rancher "$root"/etc/systemd/system/k3s* \
      "$root"/etc/systemd/system/multi-user.target.wants/k3s*
  done
}

install() {
  local number begun=() pid
  servers=$1 agents=$2 store=${3:-etcd} count=$(($1 + $2))
  [ -x "$BINARY" ] || die "there is no $BINARY: cargo build --features standin --bin k3s-standin"
  remove
  [ -s "$LAB/token" ] || (umask 077; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$LAB/token")
  token=$(cat "$LAB/token")
  rm -rf "$PLAN"
  mkdir -p "$PLAN"
  echo "cluster-$(date +%s%N)" >"$PLAN/name"
  echo "${LEASE_MS:-10000}" >"$PLAN/lease"
  echo "$servers $agents" >"$PLAN/size"
  for ((number = 1; number <= count; number++)); do put_binary "h$number"; done
  for ((number = 1; number <= servers; number++)); do
    server "$number"
    on "h$number" sh -c 'systemctl daemon-reload && systemctl start k3s' || die "h$number does not start"
  done
  for ((number = servers + 1; number <= count; number++)); do
    agent "$number"
    on "h$number" sh -c 'systemctl daemon-reload && systemctl start k3s-agent' &
    begun+=($!)
  done
  for pid in "${begun[@]}"; do wait "$pid" || die "an agent does not start"; done
}

inventory() {
  local number servers agents
  read -r servers agents <"$PLAN/size"
  printf -- '---\nk3s_cluster:\n  vars:\n    ansible_user: ops\n    k3s_version: v1.34.3+k3s1\n  children:\n    server:\n      hosts:\n'
  for ((number = 1; number <= servers; number++)); do printf '        h%d:\n          ansible_host: h%d\n' "$number" "$number"; done
  printf '    agent:\n      hosts:\n'
  for ((number = servers + 1; number <= servers + agents; number++)); do printf '        h%d:\n          ansible_host: h%d\n' "$number" "$number"; done
}

tune_host() {
  local host=$1 unit=k3s-agent
  shift
  [ -e "$(disk "$host")/etc/systemd/system/k3s.service" ] && unit=k3s
  tune "$host" "$unit" "$@"
  on "$host" systemctl daemon-reload
}

case ${1:-help} in
  install) shift; install "$@" ;;
  remove) remove ;;
  inventory) inventory ;;
  tune) shift; tune_host "$@" ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
