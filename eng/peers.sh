# Sourced by ./test: the programs that tests run against, and the Debian packages that hold them.

# program or file : package
peers=(
    nbdkit:nbdkit nbdinfo:libnbd-bin nbdcopy:libnbd-bin nbdfuse:libnbd-bin nbdsh:python3-libnbd qemu-img:qemu-utils qemu-io:qemu-utils
    qemu-nbd:qemu-utils qemu-storage-daemon:qemu-system-common nbd-server:nbd-server nbd-client:nbd-client qemu-system-x86_64:qemu-system-x86 fio:fio sqlite3:sqlite3 fusermount3:fuse3 stress-ng:stress-ng
    nginx:nginx xfs_io:xfsprogs certtool:gnutls-bin openssl:openssl gcc:gcc /usr/include/stdio.h:libc6-dev /usr/include/linux/fuse.h:linux-libc-dev
    losetup:mount setpriv:util-linux nsenter:util-linux ip:iproute2 mkfs.ext4:e2fsprogs ps:procps strace:strace tar:tar diff:diffutils xz:xz-utils
)

have() {
    [[ $1 == /* ]] && { [[ -e $1 ]]; return; }
    type -P "$1" >/dev/null || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]]
}

# The names of what is missing, on one line.
missing_peers() {
    local peer out=
    for peer in "${peers[@]}"; do have "${peer%%:*}" || out+=" ${peer%%:*}"; done
    echo "${out# }"
}

missing_packages() {
    local peer
    for peer in "${peers[@]}"; do have "${peer%%:*}" || echo "${peer##*:}"; done | sort -u
}

apt_quietly() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null >"$apt_log" 2>&1
}

install_peers() {
    local packages package policy=/usr/sbin/policy-rc.d made=
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]} > 0)) || return 0
    ((EUID == 0)) && type -P apt-get >/dev/null || return 0
    echo "installing ${packages[*]}…"
    mkdir -p artifacts
    apt_log=artifacts/apt.log
    # Tests start the servers that they need; a package's own service must not take their ports.
    [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1; }
    apt_quietly install -y --no-install-recommends "${packages[@]}" || {
        apt_quietly update || echo "test: the package lists could not be fetched: $(tail -n 1 "$apt_log")" >&2
        apt_quietly install -y --no-install-recommends "${packages[@]}" || for package in "${packages[@]}"; do
            apt_quietly install -y --no-install-recommends "$package" || echo "test: $package could not be installed: $(tail -n 1 "$apt_log")" >&2
        done
    }
    [[ -n $made ]] && rm -f "$policy"
    return 0
}

report_missing_peers() {
    local missing
    missing=$(missing_peers)
    [[ -z $missing ]] && return 0
    echo "missing, so that tests which need it are skipped: $missing"
    ((EUID == 0)) || echo "to run them: apt-get install $(missing_packages | tr '\n' ' ')"
}
