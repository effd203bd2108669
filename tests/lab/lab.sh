#!/usr/bin/env bash
# A fleet of Linux hosts h1..hN on one machine: real systemd, real sshd, own network, disk, host key and machine id.
#
#   lab.sh rootfs                 make the disk image that all hosts share; does nothing when it is there and current
#   lab.sh up N                   raise h1..hN, beside those that are up, and wait until one can log in
#   lab.sh down                   end all hosts and remove what they left, except the image, keys and shared folder
#   lab.sh status                 how many are up
#   lab.sh ssh-config             write $LAB/ssh_config and print its path; it works inside and outside the lab's network
#   lab.sh exec CMD...            run CMD in the controller's network
#   lab.sh in hN CMD...           run CMD inside a host, not through ssh
#   lab.sh copy hN SRC DST        put a file into a host, with its mode
#   lab.sh pid hN                 the host's PID 1, as seen from here
#   lab.sh kill hN                cut its power; the disk stays
#   lab.sh start hN               switch it on again
#   lab.sh pause hN, resume hN    freeze and thaw all its processes; its network card still answers
#   lab.sh link hN up|down        plug or pull its network cable
#   lab.sh wan RTT_MS [LOSS_%]    make the controller's line slow and lossy; `wan 0` ends that
#
# Users, all with the key $LAB/keys/id:
#   ops    sudo without a password          asker  sudo with the password in $LAB/keys/asker.password
#   plain  no sudo                          teller sudo without a password, but only on a terminal (requiretty)
# $LAB/shared is /lab in every host. Needs root and Debian's systemd-container, debootstrap, openssh-client, iproute2, gcc.
#
# LAB: where all of it lives (default: /tmp/keyroll-lab); labs in different folders do not meet.
# LAB_PAR: how many boot at once (default: 8).
set -uo pipefail

COMMON=${TMPDIR:-/tmp}/keyroll-lab
LAB=${LAB:-$COMMON}
PAR=${LAB_PAR:-8}
IMAGE=$LAB/rootfs
RUN=$LAB/run
# Names that the whole machine shares end in this; the default lab has none.
TAG=
[ "$LAB" = "$COMMON" ] || TAG=-$(printf '%s' "$LAB" | md5sum | cut -c1-4)
CONTROLLER=labctl$TAG
CONTROLLER_IP=10.77.255.254/16
HERE=$(cd "$(dirname "$0")" && pwd)
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  GROUPS_OF_HOSTS=("/sys/fs/cgroup/keyroll-lab$TAG")
else
  GROUPS_OF_HOSTS=("/sys/fs/cgroup/unified/keyroll-lab$TAG" "/sys/fs/cgroup/systemd/keyroll-lab$TAG")
fi

die() { printf 'lab: %s\n' "$*" >&2; exit 1; }
now_ms() { local now=$EPOCHREALTIME; echo $((${now/./} / 1000)); }
address() { echo "10.77.$(($1 / 250)).$(($1 % 250 + 1))"; } # never .0 or .255
names() { find "$RUN" -maxdepth 1 -name 'h[0-9]*' -printf '%f\n' 2>/dev/null | sort -V; }
known() { if ! [[ ${1:-} =~ ^h[0-9]+$ ]] || [ ! -d "$RUN/$1" ]; then die "there is no host ${1:-(none named)}"; fi; }

# PID 1 of a host: the only child of its supervisor.
init_of() {
  local supervisor child=
  supervisor=$(cat "$RUN/$1/pid" 2>/dev/null) || return 1
  { read -r child _ <"/proc/$supervisor/task/$supervisor/children"; } 2>/dev/null
  [ -n "$child" ] && echo "$child"
}

is_up() { local pid; pid=$(init_of "$1") && kill -0 "$pid" 2>/dev/null; }

# One can log in once sshd listens and systemd has taken /run/nologin away.
is_ready() {
  local pid
  pid=$(init_of "$1") && [ -e "/proc/$pid/root/run/sshd.pid" ] && [ ! -e "/proc/$pid/root/run/nologin" ]
}

# --- the image -------------------------------------------------------------------------------------------------------

# Units that a host in a container cannot use, or that would only cost time.
USELESS_UNITS=(
  getty@tty1.service getty-static.service getty.target console-getty.service e2scrub_reap.service e2scrub_all.timer
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer systemd-logind.service systemd-pstore.service
  systemd-tmpfiles-clean.timer systemd-resolved.service systemd-networkd.service systemd-networkd.socket
  systemd-udevd.service systemd-udev-trigger.service sys-kernel-debug.mount sys-kernel-tracing.mount
  sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount
  proc-sys-fs-binfmt_misc.automount systemd-binfmt.service systemd-modules-load.service kmod-static-nodes.service
  systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
  systemd-firstboot.service systemd-repart.service systemd-machine-id-commit.service systemd-sysctl.service
  systemd-ask-password-wall.path systemd-ask-password-console.path systemd-journald-audit.socket
  systemd-initctl.socket remote-fs.target cryptsetup.target veritysetup.target integritysetup.target
  systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-sysusers.service
)

stamp() { md5sum <"$HERE/lab.sh" | cut -d' ' -f1; }
is_current() { [ "$(cat "$LAB/rootfs.stamp" 2>/dev/null)" = "$(stamp)" ]; }

make_image() {
  is_current && return
  [ -z "$(names)" ] || { echo "lab: the image is not current; it is left as it is until the lab is down" >&2; return; }
  mkdir -p "$LAB/keys" "$LAB/shared"
  if [ ! -x "$IMAGE/usr/sbin/sshd" ] && [ -n "$TAG" ] && [ -f "$COMMON/rootfs.stamp" ]; then
    rm -rf "$IMAGE" "$IMAGE.part"
    cp -a "$COMMON/rootfs" "$IMAGE.part" || die "cannot copy the image of $COMMON"
    mv "$IMAGE.part" "$IMAGE"
  elif [ ! -x "$IMAGE/usr/sbin/sshd" ]; then
    debootstrap --variant=minbase \
      --include=systemd,systemd-sysv,dbus,openssh-server,sudo,python3,iproute2,procps bookworm "$IMAGE" || die "debootstrap failed"
  fi
  [ -f "$LAB/keys/id" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB/keys/id"
  [ -f "$LAB/keys/asker.password" ] || (umask 077; head -c 9 /dev/urandom | base64 | tr -d '\n' >"$LAB/keys/asker.password")
  rm -rf "$IMAGE"/etc/ssh/ssh_host_* "$IMAGE/etc/hostname" "$IMAGE"/var/cache/apt/* "$IMAGE"/var/lib/apt/lists/*
  : >"$IMAGE/etc/machine-id"
  make_users
  set_units
  printf 'UseDNS no\nPasswordAuthentication no\nHostKey /etc/ssh/ssh_host_ed25519_key\n' >"$IMAGE/etc/ssh/sshd_config.d/lab.conf"
  stamp >"$LAB/rootfs.stamp"
}

make_users() {
  local user
  for user in ops asker plain teller; do
    grep -q "^$user:" "$IMAGE/etc/passwd" || chroot "$IMAGE" useradd -m -s /bin/bash "$user"
    install -d -m 700 "$IMAGE/home/$user/.ssh"
    install -m 600 "$LAB/keys/id.pub" "$IMAGE/home/$user/.ssh/authorized_keys"
    chroot "$IMAGE" chown -R "$user:$user" "/home/$user/.ssh"
  done
  printf 'asker:%s\n' "$(cat "$LAB/keys/asker.password")" | chroot "$IMAGE" chpasswd
  printf '%s\n' 'ops ALL=(ALL) NOPASSWD:ALL' 'asker ALL=(ALL) ALL' 'teller ALL=(ALL) NOPASSWD:ALL' \
    'Defaults:teller requiretty' 'Defaults:asker use_pty' >"$IMAGE/etc/sudoers.d/lab"
  rm -f "$IMAGE/etc/sudoers.d/ops"
  chmod 440 "$IMAGE/etc/sudoers.d/lab"
}

set_units() {
  local units=$IMAGE/etc/systemd/system unit
  for unit in "${USELESS_UNITS[@]}"; do ln -sf /dev/null "$units/$unit"; done
  ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
  mkdir -p "$IMAGE/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=4M\nForwardToConsole=no\nAudit=no\n' >"$IMAGE/etc/systemd/journald.conf.d/lab.conf"
  # A host begins without any K3s.
  rm -rf "$units/k3s-agent.service" "$units/multi-user.target.wants/k3s-agent.service" "$IMAGE/etc/rancher" "$IMAGE/var/lib/rancher"
}

# --- network, disks, boot --------------------------------------------------------------------------------------------

make_network() {
  mkdir -p "$RUN" "$LAB/hostkeys"
  [ -e "/run/netns/$CONTROLLER" ] && return
  ip netns add "$CONTROLLER"
  ip -n "$CONTROLLER" link set lo up
  ip -n "$CONTROLLER" link add br0 type bridge forward_delay 0 stp_state 0
  ip -n "$CONTROLLER" addr add "$CONTROLLER_IP" dev br0
  ip -n "$CONTROLLER" link set br0 up
  ip netns exec "$CONTROLLER" sysctl -qw net.ipv4.neigh.default.gc_thresh1=2048 net.ipv4.neigh.default.gc_thresh3=8192 2>/dev/null
  # Each systemd takes a few inotify instances, and the default allows about 25 of them.
  local instances=/proc/sys/fs/inotify/max_user_instances
  [ "$(cat "$instances")" -ge 65536 ] && return
  cat "$instances" >"$RUN/inotify.was"
  echo 65536 >"$instances"
}

# Disk, keys and network card of host number $1.
prepare() {
  local number=$1 host=h$1 dir=$RUN/h$1
  if [ ! -d "$dir" ]; then
    mkdir -p "$dir/up/etc/ssh" "$dir/work" "$dir/root"
    [ -f "$LAB/hostkeys/$host" ] || ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$LAB/hostkeys/$host"
    install -m 600 "$LAB/hostkeys/$host" "$dir/up/etc/ssh/ssh_host_ed25519_key"
    install -m 644 "$LAB/hostkeys/$host.pub" "$dir/up/etc/ssh/ssh_host_ed25519_key.pub"
    # Without an id of its own every host would take this machine's.
    printf 'lab-%s' "$host" | md5sum | cut -c1-32 >"$dir/up/etc/machine-id"
    echo "$host" >"$dir/up/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$host" >"$dir/up/etc/hosts"
  fi
  mountpoint -q "$dir/root" ||
    mount -t overlay "lab-$host" -o "lowerdir=$IMAGE,upperdir=$dir/up,workdir=$dir/work" "$dir/root" || die "cannot mount the disk of $host"
  [ -e "/run/netns/$host$TAG" ] && return
  ip netns add "$host$TAG"
  ip -n "$CONTROLLER" link add "v$number" type veth peer name eth0 netns "$host$TAG"
  ip -n "$CONTROLLER" link set "v$number" master br0 up
  printf 'link set lo up\naddr add %s/16 dev eth0\nlink set eth0 up\n' "$(address "$number")" | ip -n "$host$TAG" -batch -
}

# What the machine's groups can control, those of its hosts can; a kubelet wants that. Without effect below version 2.
hand_down() {
  local above controller
  for above in "$(dirname "$1")" "$1"; do
    for controller in cpu cpuset memory pids; do echo "+$controller" >"$above/cgroup.subtree_control"; done 2>/dev/null
  done
}

# nspawn makes its groups below those of its caller, so the caller moves into groups of the host first.
boot() {
  local host=h$1 dir=$RUN/h$1 group
  for group in "${GROUPS_OF_HOSTS[@]}"; do
    mkdir -p "$group/$host"
    hand_down "$group"
  done
  (
    for group in "${GROUPS_OF_HOSTS[@]}"; do echo "$BASHPID" >"$group/$host/cgroup.procs"; done
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    # shellcheck disable=SC2016 # expanded by the inner shell
    exec setsid sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$dir/pid" systemd-nspawn -q --boot --register=no --keep-unit \
      --console=pipe -M "$host$TAG" --hostname="$host" -D "$dir/root" --bind="$LAB/shared:/lab" \
      --network-namespace-path="/run/netns/$host$TAG" \
      --link-journal=no --resolv-conf=off --timezone=off
  ) </dev/null >"$dir/console.log" 2>&1 &
}

# Waits until at most $1 of the hosts in `booting` are not ready.
booting=()
settle() {
  local host left
  while [ ${#booting[@]} -gt "$1" ]; do
    left=()
    for host in "${booting[@]}"; do is_ready "$host" || left+=("$host"); done
    booting=("${left[@]}")
    [ ${#booting[@]} -le "$1" ] && return
    [ "$(now_ms)" -lt "$deadline" ] || die "not up in time: ${booting[*]}; see $RUN/hN/console.log"
    sleep 0.03
  done
}

up() {
  local count=$1 number started
  [[ $count =~ ^[0-9]+$ ]] || die "up wants a number"
  started=$(now_ms)
  deadline=$((started + 240000 + count * 3000))
  make_image
  make_network
  for ((number = 1; number <= count; number++)); do
    is_up "h$number" && continue
    prepare "$number"
    boot "$number"
    booting+=("h$number")
    settle $((PAR - 1))
  done
  settle 0
  ssh_config >/dev/null
  echo "$count hosts are up after $(($(now_ms) - started)) ms"
}

ssh_config() {
  local host
  [ "$LAB/dial" -nt "$HERE/dial.c" ] || gcc -O2 -o "$LAB/dial" "$HERE/dial.c" || die "cannot build dial"
  for host in $(names); do
    echo "$host,$(address "${host#h}") $(cut -d' ' -f1,2 "$LAB/hostkeys/$host.pub")"
  done >"$LAB/known_hosts"
  {
    printf 'Host h*\n'
    printf '  %s\n' "User ops" "IdentityFile $LAB/keys/id" "IdentitiesOnly yes" "IdentityAgent none" \
      "UserKnownHostsFile $LAB/known_hosts" "GlobalKnownHostsFile /dev/null" "StrictHostKeyChecking yes" \
      "PasswordAuthentication no" "KexAlgorithms curve25519-sha256" "LogLevel ERROR" \
      "ProxyCommand $LAB/dial /run/netns/$CONTROLLER %h %p" "ProxyUseFdpass yes"
    for host in $(names); do printf 'Host %s\n  HostName %s\n  HostKeyAlias %s\n' "$host" "$(address "${host#h}")" "$host"; done
  } >"$LAB/ssh_config"
  echo "$LAB/ssh_config"
}

# --- ends and faults -------------------------------------------------------------------------------------------------

cut_power() { local pid; pid=$(init_of "$1") && kill -KILL "$pid" 2>/dev/null; }

await_end() {
  local supervisor tries
  supervisor=$(cat "$RUN/$1/pid" 2>/dev/null) || return 0
  for ((tries = 0; tries < 200; tries++)); do
    kill -0 "$supervisor" 2>/dev/null || break
    sleep 0.05
  done
  kill -0 "$supervisor" 2>/dev/null && echo "lab: $1 ($supervisor) is still there" >&2
  rm -f "$RUN/$1/pid"
  local group
  for group in "${GROUPS_OF_HOSTS[@]}"; do
    [ -d "$group/$1" ] && find "$group/$1" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
}

down() {
  local host started
  started=$(now_ms)
  for host in $(names); do cut_power "$host"; done
  for host in $(names); do
    await_end "$host"
    umount "$RUN/$host/root" 2>/dev/null || umount -l "$RUN/$host/root" 2>/dev/null
    ip netns del "$host$TAG" 2>/dev/null
    rm -rf --one-file-system "${RUN:?}/$host"
    rmdir "/run/systemd/nspawn/propagate/$host$TAG" 2>/dev/null
  done
  end_wan
  ip netns del "$CONTROLLER" 2>/dev/null
  rmdir "${GROUPS_OF_HOSTS[@]}" 2>/dev/null
  # Another lab may still need what it raised the limit for.
  [ -f "$RUN/inotify.was" ] && [ -z "$(find /run/netns -name 'labctl*' 2>/dev/null)" ] &&
    cat "$RUN/inotify.was" >/proc/sys/fs/inotify/max_user_instances
  rm -rf --one-file-system "${RUN:?}"
  echo "down after $(($(now_ms) - started)) ms"
}

# freeze 1|0 HOST: all its processes at once, those that a frozen one was about to start too.
freeze() {
  echo "$1" >"${GROUPS_OF_HOSTS[0]}/$2/cgroup.freeze" || die "$2 cannot be frozen or thawed"
}

end_wan() {
  [ -f "$RUN/wan.pid" ] || return 0
  kill "$(cat "$RUN/wan.pid")" 2>/dev/null
  rm -f "$RUN/wan.pid"
  sleep 0.2
  ip -n "$CONTROLLER" addr replace "$CONTROLLER_IP" dev br0
}

begin_wan() {
  [ "$LAB/wan" -nt "$HERE/wan.c" ] || gcc -O2 -o "$LAB/wan" "$HERE/wan.c" || die "cannot build wan"
  setsid nsenter "--net=/run/netns/$CONTROLLER" "$LAB/wan" "$1" "$2" </dev/null >"$RUN/wan.log" 2>&1 &
  echo $! >"$RUN/wan.pid"
  sleep 0.3
  ip -n "$CONTROLLER" link set wan1 master br0 up
  ip -n "$CONTROLLER" addr del "$CONTROLLER_IP" dev br0
  ip -n "$CONTROLLER" link set wan0 up
  ip -n "$CONTROLLER" addr add "$CONTROLLER_IP" dev wan0
}

copy_into() {
  local pid mode
  pid=$(init_of "$1") || die "$1 is not up"
  mode=$(stat -c %a "$2") || return
  # shellcheck disable=SC2016 # expanded inside the host
  nsenter -t "$pid" -a -- sh -c 'mkdir -p "$(dirname "$2")" && cat >"$2.part" && chmod "$1" "$2.part" && mv -fT "$2.part" "$2"' \
    sh "$mode" "$3" <"$2"
}

command=${1:-help}
[ "$command" = help ] || [ "$(id -u)" = 0 ] || die "needs root"
case $command in
  rootfs) make_image ;;
  up) up "${2:?how many}" ;;
  down) down ;;
  status)
    up_now=0
    for host in $(names); do is_up "$host" && up_now=$((up_now + 1)); done
    echo "$up_now up of $(names | wc -l)"
    ;;
  ssh-config) ssh_config ;;
  exec) shift; exec nsenter "--net=/run/netns/$CONTROLLER" -- "$@" ;;
  in)
    known "${2:-}"
    pid=$(init_of "$2") || die "$2 is not up"
    shift 2
    exec nsenter -t "$pid" -a -- "$@"
    ;;
  copy) known "${2:-}"; copy_into "$2" "${3:?source}" "${4:?destination}" ;;
  pid) known "${2:-}"; init_of "$2" ;;
  kill) known "${2:-}"; cut_power "$2"; await_end "$2" ;;
  start)
    known "${2:-}"
    is_up "$2" && exit 0
    deadline=$(($(now_ms) + 120000))
    prepare "${2#h}"
    boot "${2#h}"
    booting=("$2")
    settle 0
    ;;
  pause) known "${2:-}"; freeze 1 "$2" ;;
  resume) known "${2:-}"; freeze 0 "$2" ;;
  link) known "${2:-}"; ip -n "$CONTROLLER" link set "v${2#h}" "${3:?up or down}" ;;
  wan) end_wan; [ "${2:?milliseconds}" = 0 ] || begin_wan "$2" "${3:-0}" ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" ;;
esac
