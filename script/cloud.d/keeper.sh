# The first process of a cloud's namespaces: arranges what is seen inside, then waits, and takes in processes that lost their parent.
# keeper.sh DIR NODE - started by place.sh under unshare.
set -eu
CLOUD=$1 NODE=$2
# Still the outer /proc, so this is the process id that the outside knows.
read -r outer _ </proc/self/stat

hostname "$NODE"
mount -t proc proc /proc
# A sysfs of this network's devices; control groups stay those of the machine, for containers.
old_groups=$CLOUD/run/cgroup
mkdir -p "$old_groups"
mount --rbind /sys/fs/cgroup "$old_groups"
mount -t sysfs sysfs /sys
mount --rbind "$old_groups" /sys/fs/cgroup
umount -R -l "$old_groups"
# Sockets, locks and names of network namespaces of this cloud alone.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/openvswitch /run/ovn
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$NODE" >"$CLOUD/etc/hosts"
mount --bind "$CLOUD/etc/hosts" /etc/hosts
ip link set lo up

echo "$outer" >"$CLOUD/run/keeper.pid"
trap 'exit 0' TERM INT
while :; do
    sleep infinity &
    wait $!
done
