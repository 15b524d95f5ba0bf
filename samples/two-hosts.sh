# Sourced by the samples that move something: two hosts and a line between them. For root they are network namespaces that reach each other only by a
# relay between them, which simulates the line; for others both are this machine, and the line is its loopback.
# Needs $root, the root of the repository. Sets $address_a and $address_b, at which the hosts reach each other.

relay=$root/artifacts/bin/Farspan.Figures/release/Farspan.Figures
hosts=${hosts-farspan$$} relays=()

# make_hosts: A and B, each with an address on its own end of the line; the middle forwards nothing by itself.
make_hosts() {
    address_a=127.0.0.1 address_b=127.0.0.1
    ((EUID == 0)) && type -P nsenter >/dev/null && ip netns add "$hosts-line" 2>/dev/null || { hosts=; return 0; }
    local host net
    for host in a b; do
        [[ $host == a ]] && net=10.77.1 || net=10.77.2
        ip netns add "$hosts-$host" && ip link add "to-$host" netns "$hosts-line" type veth peer name line netns "$hosts-$host" \
            && ip -n "$hosts-line" addr add "$net.1/24" dev "to-$host" && ip -n "$hosts-line" link set "to-$host" up \
            && ip -n "$hosts-$host" addr add "$net.2/24" dev line && ip -n "$hosts-$host" link set line up \
            && ip -n "$hosts-$host" link set lo up || return 1
    done
    address_a=10.77.2.1 address_b=10.77.1.1
    [[ -x $relay ]] || (. "$root/eng/build.sh" && check_dotnet && with_build_lock dotnet_quietly "$root/artifacts/build.log" build "$root/bench/Farspan.Figures" -c Release -v q)
}

# on HOST COMMAND...: becomes the command, on host a or b. Files are those of this machine.
on() {
    local host=$1
    shift
    [[ -z $hosts ]] || set -- nsenter --net="/run/netns/$hosts-$host" "$@"
    exec "$@"
}

# carry LINE HOST PORT: the other host reaches that port of the host at its $address_. LINE as in rtt=20ms,rate=1Gbit.
carry() {
    [[ -n $hosts ]] || return 0
    local listen=10.77.2.1:$3 target=10.77.1.2:$3
    [[ $2 == a ]] || listen=10.77.1.1:$3 target=10.77.2.2:$3
    on line "$relay" relay "$1" "$listen" "$target" &
    relays+=($!)
    await_port line "$3" $!
}

# await_port HOST PORT PID: waits until something listens there, while that process lives. 0A is the kernel's word for it.
await_port() {
    until (on "$1" grep -q ":$(printf %04X "$2") .* 0A " /proc/net/tcp); do kill -0 "$3" && sleep 0.02 || return 1; done
}

# sent_bytes: what both hosts have sent so far, headers included; nothing where there is no line to count on.
sent_bytes() {
    [[ -z $hosts ]] || (on line awk '/to-[ab]:/ { sum += $2 } END { print sum }' /proc/net/dev)
}

remove_hosts() {
    local host
    ((${#relays[@]} == 0)) || kill "${relays[@]}" 2>/dev/null
    [[ -n $hosts ]] && for host in a b line; do ip netns delete "$hosts-$host" 2>/dev/null; done
    return 0
}
