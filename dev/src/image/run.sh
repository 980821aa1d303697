# Becomes process 1 of a container: container.rs starts it in namespaces of its own, as root.
# $1: where the files are. $2: the user, $3: the group. $4: the working folder. $5: "read-only", or nothing. $6: a line for each
# thing of this machine that is mounted: its path and its place, with a tab between. The rest: what to run.
set -e
root=$1 user=$2 group=$3 folder=$4 mode=$5 mounts=$6
shift 6
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
printf '%s\n' "$mounts" | while IFS='	' read -r from to; do
    if [ "$from" ]; then
        [ -e "$root$to" ] || touch "$root$to"
        mount --bind "$from" "$root$to"
    fi
done
if [ "$mode" = read-only ]; then
    mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
    mount -o remount,bind,ro "$root"
fi
exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec="$user:$group" --groups="$group" "$root" env --chdir="$folder" "$@"
