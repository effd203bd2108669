#!/usr/bin/env bash
# K3s clusters on lab hosts, with units and files as get.k3s.io and an operator leave them.
#
#   k3s.sh plan SERVERS AGENTS      print a plan for h1..hN, to be used as it is or edited
#   k3s.sh install NAME < PLAN      a fresh cluster on the hosts of a plan, which are up
#   k3s.sh inventory NAME           print its inventory in the manner of k3s-ansible
#   k3s.sh remove NAME              take it from its hosts
#
# A plan has a line for each host, servers first: HOST NAME server|agent [WORD...]. Its words:
#   store=sqlite|etcd|external      what the servers keep their data in (default: etcd)
#   surface=config|drop-in|env|argument|token-file|nothing   where the token is (default: config; an agent's: env);
#                                   `nothing`: it joined with a token, which was then taken out of its configuration
#   form=full                       the token is in K10 form
#   joins=ADDRESS                   what `server:` names (default: the first host of the plan); the first host gets it too
#   only=etcd|control-plane         a server that has but one of its roles
#   disable-agent                   a server without a kubelet
#   agent-token                     agents have a token of their own: on servers and agents
#   data-dir=PATH port=NUMBER unit=NAME                      where they differ from the installer's
#
# $LAB/clusters/NAME has the plan, the token (drawn when that file is not there) and what belongs to it.
# LAB: as for lab.sh. STANDIN: the stand-in (default: target/debug/k3s-standin). K3S_BIN: a folder with a real `k3s`,
# which is taken instead. LEASE_MS: how often the stand-in renews a lease (default: 10000, as a kubelet does).
# K3S_DATASTORE: where a real k3s has its external database, `{}` for the name of a fresh one:
# postgres://k3s:PASSWORD@10.77.255.254:5432/{}?sslmode=disable
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${TMPDIR:-/tmp}/keyroll-lab}
STANDIN=${STANDIN:-$HERE/../../target/debug/k3s-standin}
BINARY=${K3S_BIN:+$K3S_BIN/k3s}
BINARY=${BINARY:-$STANDIN}
INSTALLED=/var/lib/rancher/k3s

die() { printf 'k3s: %s\n' "$*" >&2; exit 1; }
lab() { "$HERE/lab.sh" "$@"; }
disk() { echo "$LAB/run/$1/root"; }
address() { local number=${1#h}; echo "10.77.$((number / 250)).$((number % 250 + 1))"; }
on() { local pid; pid=$(lab pid "$1") || die "$1 is not up"; shift; timeout 300 nsenter -t "$pid" -a -- "$@"; }
draw() { (umask 077; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$1"); }

# A real k3s knows nothing of the stand-in's variables.
kind=
is_standin() {
  [ -n "$kind" ] || if grep -qaF STANDIN_STORE "$BINARY"; then kind=standin; else kind=real; fi
  [ "$kind" = standin ]
}

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
  local file; file=$(disk "${is[host]}")/usr/local/bin/k3s
  [ -x "$file" ] && [ ! "$BINARY" -nt "$file" ] && [ "$(stat -c %s "$BINARY")" = "$(stat -c %s "$file")" ] && return
  mkdir -p "$(dirname "$file")"
  rm -f "$file"
  cp "$BINARY" "$file"
  chmod 755 "$file"
}

# --- one line of a plan ----------------------------------------------------------------------------------------------

declare -A is
read_line() {
  local word
  is=([host]=$1 [name]=$2 [role]=$3 [store]=etcd [unit]=k3s [port]=6443 [data-dir]=$INSTALLED [joins]=$(address "$first"))
  if [ "$3" = server ]; then is[surface]="config"; else is[surface]="env"; fi
  shift 3
  for word in "$@"; do
    case $word in
      disable-agent | agent-token) is[$word]=yes ;;
      store=* | surface=* | form=* | joins=* | only=* | data-dir=* | port=* | unit=*) is[${word%%=*}]=${word#*=} ;;
      *) die "a plan has no word \`$word\`" ;;
    esac
  done
  [ "${is[role]}" = server ] || is[unit]=${is[unit]}-agent
}

# each COMMAND: for every host of the plan, with its words in `is`
each() {
  local line
  while read -ra line <&3; do
    [ ${#line[@]} -lt 3 ] || { read_line "${line[@]}"; "$@"; }
  done 3<"$plan/plan"
}

url() { echo "https://${is[joins]}:${is[port]}"; }

# A token in full form needs the CA, which the first server makes.
secret() {
  local user=server text=$token
  if [ "${is[role]}" = agent ] && [ -n "${is[agent-token]:-}" ]; then user=node text=$(cat "$plan/agent-token"); fi
  if [ "${is[form]:-}" = full ]; then
    text="K10$(sha256sum <"$(disk "$first")${is[data-dir]}/server/tls/server-ca.crt" | cut -d' ' -f1)::$user:$text"
  fi
  echo "$text"
}

# unit COMMAND
unit() {
  local unit=${is[unit]}
  put "${is[host]}" "/etc/systemd/system/$unit.service" 644 <<END
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
EnvironmentFile=-/etc/systemd/system/$unit.service.env
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
    $1 \\

END
  if is_standin; then
    put "${is[host]}" "/etc/systemd/system/$unit.service.d/standin.conf" 644 <<END
[Service]
Environment=STANDIN_STORE=/lab/$(cat "$plan/store") STANDIN_LEASE_MS=${LEASE_MS:-10000}
END
  fi
  [ -z "${K3S_BIN:-}" ] || prepare_host
  mkdir -p "$(disk "${is[host]}")/etc/systemd/system/multi-user.target.wants"
  ln -sf "/etc/systemd/system/$unit.service" "$(disk "${is[host]}")/etc/systemd/system/multi-user.target.wants/"
}

# --- configuration ---------------------------------------------------------------------------------------------------

# What a kubelet wants of a machine and a container lacks, at each start; nothing outside of the host changes:
# /dev/kmsg, which it only reads; settings of the kernel, which it would write where the host may not; shared mounts.
# Nodes are Ready once containerd has some network to show, and no pod ever asks for it.
prepare_host() {
  put "${is[host]}" /usr/local/lib/lab/for-k3s 755 <<'END'
#!/bin/sh
[ -e /dev/kmsg ] || : >/dev/kmsg
mkdir -p /run/for-k3s
while read -r name value; do
  [ "$(cat "/proc/sys/$name")" = "$value" ] && continue
  file=/run/for-k3s/$(echo "$name" | tr / -)
  echo "$value" >"$file" && mount --bind "$file" "/proc/sys/$name"
done <<LIST
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
LIST
mount --make-rshared /
END
  put "${is[host]}" "/etc/systemd/system/${is[unit]}.service.d/lab.conf" 644 <<'END'
[Service]
ExecStartPre=-/usr/local/lib/lab/for-k3s
END
  put "${is[host]}" /etc/cni/net.d/10-lab.conflist 644 <<'END'
{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "loopback"}]}
END
}

# A real k3s runs no pod here, so that it needs no image and no network but the hosts' own.
for_real() {
  [ -n "${K3S_BIN:-}" ] || { echo "disable: [traefik, servicelb]"; return; }
  cat <<END
disable: [traefik, servicelb, metrics-server, coredns, local-storage, runtimes]
disable-helm-controller: true
disable-network-policy: true
disable-kube-proxy: true
flannel-backend: none
egress-selector-mode: disabled
END
}

for_real_kubelet() {
  [ -n "${K3S_BIN:-}" ] || return 0
  cat <<END
snapshotter: native
kubelet-arg:
  - cgroups-per-qos=false
  - enforce-node-allocatable=none
  - fail-swap-on=false
  - fail-cgroupv1=false
  - eviction-hard=nodefs.available<1%
  - local-storage-capacity-isolation=false
END
}

datastore() {
  local database=${K3S_DATASTORE:-postgres://k3s@10.77.255.254:5432/{\}}
  if [ -n "${K3S_BIN:-}" ] && ! is_standin && [ -z "${K3S_DATASTORE:-}" ]; then die "K3S_DATASTORE names no database"; fi
  echo "datastore-endpoint: \"${database/\{\}/$(tr - _ <"$plan/store")}\""
}

# What makes a server what it is in the cluster.
roles() {
  case ${is[only]:-} in
    etcd) printf 'disable-apiserver: true\ndisable-controller-manager: true\ndisable-scheduler: true\n' ;;
    control-plane) echo "disable-etcd: true" ;;
  esac
  case ${is[store]} in
    sqlite) echo "# one server, so its datastore is sqlite" ;;
    external) datastore ;;
    etcd) if [ "${is[host]}" = "$first" ]; then echo "cluster-init: true"; else echo "server: $(url)"; fi ;;
    *) die "there is no store \`${is[store]}\`" ;;
  esac
}

differences() {
  [ "${is[data-dir]}" = "$INSTALLED" ] || echo "data-dir: ${is[data-dir]}"
  if [ "${is[role]}" = server ]; then
    [ "${is[port]}" = 6443 ] || echo "https-listen-port: ${is[port]}"
    [ -z "${is[agent-token]:-}" ] || echo "agent-token: \"$(cat "$plan/agent-token")\""
    [ -z "${is[disable-agent]:-}" ] || echo "disable-agent: true"
  fi
}

server() {
  local host=${is[host]} form entry='' command=server env=''
  form=$(secret)
  case ${is[surface]} in
    config | nothing) entry="token: \"$form\"   # the join token; it is in the vault" ;;
    token-file) entry="token-file: /etc/rancher/k3s/token"; echo "$form" | put "$host" /etc/rancher/k3s/token 600 ;;
    drop-in) printf 'token: "%s"\n' "$form" | put "$host" /etc/rancher/k3s/config.yaml.d/50-token.yaml 600 ;;
    env) env="K3S_TOKEN='$form'" ;;
    argument) command="server '--token' '$form'" ;;
    *) die "there is no surface \`${is[surface]}\`" ;;
  esac
  {
    cat <<END
# K3s on ${is[name]}. Change the token on all servers at once.
write-kubeconfig-mode: "0600"
$(roles)
node-name: ${is[name]}
node-ip: $(address "$host")
tls-san:
  - k3s.lab.example   # the name that people use
  - ${is[joins]}

$entry
$(differences)
END
    for_real
    for_real_kubelet
  } | put "$host" /etc/rancher/k3s/config.yaml 600
  unit "$command"
  printf '%s' "${env:+$env$'\n'}" | put "$host" "/etc/systemd/system/${is[unit]}.service.env" 600
}

# get.k3s.io writes both variables with quotes.
agent() {
  local host=${is[host]} form
  form=$(secret)
  unit agent
  if [ "${is[surface]}" = config ]; then
    printf '# An agent with its own file\nserver: %s\nnode-name: %s\ntoken: %s  # join token\n' "$(url)" "${is[name]}" "$form" |
      cat - <(differences) <(for_real_kubelet) | put "$host" /etc/rancher/k3s/config.yaml 640
    chgrp 4 "$(disk "$host")/etc/rancher/k3s/config.yaml" # adm
    put "$host" "/etc/systemd/system/${is[unit]}.service.env" 600 </dev/null
  else
    printf "K3S_TOKEN='%s'\nK3S_URL='%s'\nK3S_NODE_NAME='%s'\n" "$form" "$(url)" "${is[name]}" |
      put "$host" "/etc/systemd/system/${is[unit]}.service.env" 600
    if [ -n "$(differences; for_real_kubelet)" ]; then
      cat <(differences) <(for_real_kubelet) | put "$host" /etc/rancher/k3s/config.yaml 600
    fi
  fi
}

# --- life ------------------------------------------------------------------------------------------------------------

# fails HOST WORDS: ends with what the host says of it.
fails() {
  local controllers need
  on "$1" journalctl --no-pager -o cat -n 12 -u "k3s*" >&2 || true
  if ! is_standin; then
    controllers=$(on "$1" cat /sys/fs/cgroup/cgroup.controllers || true)
    for need in cpu cpuset memory pids; do
      [[ " $controllers " == *" $need "* ]] || echo "k3s: $1 has no cgroup controller $need; a machine with cgroup v2 alone gives it to its hosts" >&2
    done
  fi
  die "$1 $2"
}

# door SECRET: a kubeconfig to this host's own supervisor.
door() {
  cat <<END
apiVersion: v1
kind: Config
current-context: k
contexts: [{name: k, context: {cluster: k, user: k}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:${is[port]}", certificate-authority: ${is[data-dir]}/server/tls/server-ca.crt}}]
users: [{name: k, user: {username: server, password: "$1"}}]
END
}

# A server with etcd alone may be done with its start only when a control plane has joined it; that one needs this answer.
await_bootstrap() {
  local tries
  for ((tries = 0; tries < 150; tries++)); do
    door "$token" | on "${is[host]}" k3s kubectl --kubeconfig=/dev/stdin get --raw /v1-k3s/server-bootstrap >/dev/null 2>&1 && return
    sleep 0.5
  done
  fails "${is[host]}" "gives joining servers no answer"
}

begin_server() {
  [ "${is[role]}" = server ] || return 0
  local host=${is[host]} config
  server
  if [ "${is[only]:-}" = etcd ]; then
    on "$host" sh -c "systemctl daemon-reload && systemctl start --no-block ${is[unit]}"
    await_bootstrap
    return
  fi
  on "$host" sh -c "systemctl daemon-reload && systemctl start ${is[unit]}" || fails "$host" "does not start"
  [ "${is[surface]}" = nothing ] || return 0
  config=$(disk "$host")/etc/rancher/k3s/config.yaml
  sed -i '/^token: /d' "$config"
  on "$host" systemctl restart "${is[unit]}" || fails "$host" "does not start without its token"
}

begun=()
begin_agent() {
  [ "${is[role]}" = agent ] || return 0
  agent
  on "${is[host]}" sh -c "systemctl daemon-reload && systemctl start ${is[unit]}" &
  begun+=($!)
}

clear_host() {
  local host=${is[host]} root; root=$(disk "$host")
  # shellcheck disable=SC2016 # expanded inside the host
  on "$host" sh -c 'for unit in $(systemctl list-units -a --plain --no-legend "k3s*.service" | cut -d" " -f1); do
      systemctl kill -s KILL "$unit"; systemctl stop "$unit"; systemctl reset-failed "$unit"
    done; umount -l /etc 2>/dev/null; umount -Rl /var/lib/kubelet /var/lib/rancher /run/k3s 2>/dev/null; rm -rf /run/k3s /run/flannel /etc/cni' >/dev/null 2>&1 || true
  rm -rf "$root"/var/lib/rancher "$root"/srv/k3s "$root"/etc/rancher "$root"/var/lib/kubelet "$root"/etc/systemd/system/k3s* \
    "$root"/etc/systemd/system/multi-user.target.wants/k3s*
}

clear_aside() { clear_host & begun+=($!); }
clear_all() {
  each clear_aside
  for pid in "${begun[@]}"; do wait "$pid"; done
  begun=()
}

# An address that is no host's own leads to the first one.
make_address() {
  [ "${is[joins]}" = "$(address "$first")" ] || on "$first" ip addr replace "${is[joins]}/16" dev eth0
}

use() {
  plan=$LAB/clusters/${1:?a name}
  [ -s "$plan/plan" ] || die "there is no cluster $1"
  first=$(head -1 "$plan/plan" | cut -d' ' -f1)
}

install() {
  local pid
  plan=$LAB/clusters/${1:?a name}
  mkdir -p "$plan"
  cat >"$plan/plan"
  use "$1"
  [ -x "$BINARY" ] || die "there is no $BINARY: cargo build --features standin --bin k3s-standin"
  [ -s "$plan/token" ] || draw "$plan/token"
  draw "$plan/agent-token"
  token=$(cat "$plan/token")
  echo "$1-$(date +%s%N)" >"$plan/store"
  clear_all
  each put_binary
  each make_address
  each begin_server
  each begin_agent
  for pid in "${begun[@]}"; do wait "$pid" || die "an agent does not start"; done
  await_nodes
}

count_node() {
  [ -n "${is[disable-agent]:-}" ] || wanted=$((wanted + 1))
  [ "${is[role]}" = agent ] || [ "${is[only]:-}" = etcd ] || api=${api:-${is[host]}}
}

# A cluster is there when the nodes of all its hosts are Ready.
await_nodes() {
  local wanted=0 api='' tries
  each count_node
  for ((tries = 0; tries < 180; tries++)); do
    # shellcheck disable=SC2016 # expanded inside the host
    [ "$(on "$api" sh -c 'k3s kubectl get nodes 2>/dev/null | awk "\$2 == \"Ready\"" | wc -l')" -lt "$wanted" ] || return 0
    sleep 1
  done
  on "$api" k3s kubectl get nodes >&2 || true
  fails "$api" "sees not all of $wanted nodes Ready"
}

entry_of() {
  [ "${is[role]}" != "$1" ] || printf '        %s:\n          ansible_host: %s\n' "${is[name]}" "${is[host]}"
}

inventory() {
  local group
  printf -- '---\nk3s_cluster:\n  vars:\n    ansible_user: ops\n    k3s_version: v1.34.3+k3s1\n  children:\n'
  for group in server agent; do
    printf '    %s:\n      hosts:\n' "$group"
    each entry_of "$group"
  done
}

print_plan() {
  local number store=etcd
  [ "$1" = 1 ] && store=sqlite
  for ((number = 1; number <= $1; number++)); do echo "h$number server-$number server store=$store"; done
  for ((number = 1; number <= $2; number++)); do echo "h$((number + $1)) agent-$number agent"; done
}

case ${1:-help} in
  plan) print_plan "${2:?servers}" "${3:?agents}" ;;
  install) install "${2:?a name}" ;;
  inventory) use "${2:?a name}"; inventory ;;
  remove) use "${2:?a name}"; clear_all ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
