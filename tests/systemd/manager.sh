#!/usr/bin/env bash
# Starts a real systemd system manager in namespaces of its own, for tests (root). Runs in the
# foreground; the manager is the only child of this process and cannot outlive it.
set -euo pipefail

# The manager gets a subtree of the unified hierarchy; its cgroup namespace makes that the root.
# On a hybrid host this hierarchy has no controllers: processes are still tracked, which is enough.
unified=/sys/fs/cgroup
[ ! -d $unified/unified ] || unified=$unified/unified
mkdir -p "$unified/aiopsd-test-$$"
echo $$ >"$unified/aiopsd-test-$$/cgroup.procs"

exec setpriv --pdeathsig KILL \
  unshare --kill-child --fork --pid --mount-proc --mount --cgroup --ipc --uts --propagation private bash -euc '
mount --make-rshared / # among the services in here, as on any machine: credentials need it
umount --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup

# What the manager and its services write stays in here; the machine below is not touched.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/{lock,dbus,systemd,etc}
cp -a /etc/. /run/etc/
mount --bind /run/etc /etc
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /var/lib/polkit-1

# Nothing of the machine starts: only the units that a bare manager needs, and those by which an
# unprivileged service reaches it (bus, polkit) and is heard (journal).
cd /etc/systemd/system
rm -rf * /etc/polkit-1/rules.d/* /etc/aiopsd
for unit in {basic,exit,final,halt,local-fs,local-fs-pre,multi-user,paths,poweroff,shutdown,slices,sockets,swap,sysinit,timers,umount}.target \
            systemd-{exit,journald}.service systemd-journald.socket dbus.{service,socket} polkit.service; do
  cp -L "/lib/systemd/system/$unit" .
done
ln -s multi-user.target default.target
mkdir multi-user.target.wants
ln -s ../dbus.socket ../systemd-journald.service multi-user.target.wants/
printf "[Journal]\nStorage=volatile\nReadKMsg=no\n" >/etc/systemd/journald.conf

export container=other SYSTEMD_UNIT_PATH=/etc/systemd/system
exec /lib/systemd/systemd --system --log-target=journal-or-kmsg --show-status=no
'
