# Sourced by the scripts of this sample: machines, and what is said to them. $work/HOST is the directory of the machine on that host.

# start_machine HOST RAM [OPTION...]: a machine whose memory is RAM, as QEMU's -object says it. It prints to $work/console.
start_machine() {
    local host=$1 ram=$2
    shift 2
    mkdir -p "$work/$host"
    rm -f "$work/$host"/qmp.{in,out}
    mkfifo "$work/$host"/qmp.{in,out}
    on "$host" qemu-system-x86_64 -nodefaults -no-user-config -display none -accel tcg,tb-size=32 -machine pc,memory-backend=ram \
        -object "$ram,id=ram,size=${ram_kib}K" -m "${ram_kib}K" -kernel "$work/guest" \
        -chardev "file,id=console,path=$work/console,append=on" -serial chardev:console \
        -chardev "pipe,id=qmp,path=$work/$host/qmp" -mon chardev=qmp,mode=control "$@" </dev/null >"$work/$host/log" 2>&1 &
    echo $! >"$work/$host/pid"
    say "$host" qmp_capabilities && say "$host" migrate-set-capabilities '{"capabilities": [{"capability": "events", "state": true}]}'
}

# can HOST CAPABILITY: how the machine is to migrate.
can() { say "$1" migrate-set-capabilities "{\"capabilities\": [{\"capability\": \"$2\", \"state\": true}]}"; }

# say HOST COMMAND [ARGUMENTS]: a command of QEMU's machine protocol, with its arguments as JSON; waits for its answer.
say() {
    : >"$work/$1/said"
    echo "{\"execute\": \"$2\", \"arguments\": ${3:-{\}}}" >"$work/$1/qmp.in"
    hear "$1" '"return"'
}

# hear HOST TEXT: waits until the machine has said that since it was last told something. QEMU keeps both pipes open, so whoever comes next reads on.
hear() {
    local line
    grep -qF -- "$2" "$work/$1/said" && return 0
    while IFS= read -r -t 60 line <&3; do
        echo "$line" >>"$work/$1/said"
        case $line in
            *'"error"'* | *'"status": "failed"'*) break ;;
            *"$2"*) return 0 ;;
        esac
    done 3<"$work/$1/qmp.out"
    echo "machine on $1: waited for $2, and heard: $(<"$work/$1/said") $(<"$work/$1/log")" >&2
    return 1
}

# The device state comes after the machine's memory in the file that is moved: 1 MiB, in blocks of 64 KiB.
tail_at=$((ram_mib * 16))

# stop_machine HOST FILE: what of the machine is not memory goes to the end of the file that is its memory. It runs until that is all that is left.
stop_machine() {
    say "$1" migrate "{\"uri\": \"exec:dd of=$2 bs=64K seek=$tail_at conv=notrunc iflag=fullblock status=none\"}" && hear "$1" '"status": "completed"'
}

# expect_machine HOST FILE: the reverse, on a machine that was started with -incoming defer and can leave out its memory. It goes on by itself as soon as it
# has read what is there, and waits where the file lets nobody read yet.
expect_machine() {
    say "$1" migrate-incoming "{\"uri\": \"exec:dd if=$2 bs=64K skip=$tail_at status=none\"}"
}

# note WHAT: when it was, and how many bytes had been sent.
note() { echo "$1 $EPOCHREALTIME $(sent_bytes)" >>"$work/events"; }
