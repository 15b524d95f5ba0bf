# Sourced by ./farspan and ./test: builds under one lock, quietly, and shows what went wrong. Needs $root.
programs=$root/artifacts/program
current=$programs/current

up_to_date() {
    [[ -e $current/.built ]] || return 1
    [[ -z $(cd "$root" && find src Directory.Build.props Directory.Packages.props global.json .editorconfig BannedSymbols.txt \
        -newer "$current/.built" -print -quit 2>/dev/null) ]]
}

check_dotnet() {
    export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1 DOTNET_CLI_UI_LANGUAGE=en MSBUILDDISABLENODEREUSE=1
    if ! type -P dotnet >/dev/null; then
        echo "farspan: the .NET 10 SDK is not on the PATH; install it from https://dotnet.microsoft.com/download" >&2
        return 1
    fi
    if ! mkdir -p "$root/artifacts" 2>/dev/null || [[ ! -w $root/artifacts ]]; then
        echo "farspan: cannot write $root/artifacts, where builds go; run as the owner of this directory or clone your own" >&2
        return 1
    fi
    # The SDK and NuGet keep caches under HOME.
    if [[ -z $HOME || ! -w $HOME ]]; then
        export HOME=$root/artifacts/home
        mkdir -p "$HOME"
    fi
}

# dotnet_quietly LOG COMMAND...: runs dotnet with its output in LOG; tries again when packages could not be fetched; shows errors.
dotnet_quietly() {
    local log=$1 try
    shift
    for try in 1 2 3; do
        dotnet "$@" -nologo -p:UseSharedCompilation=false </dev/null >"$log" 2>&1 && return 0
        grep -qE 'NU1301|NU1300|NU1101.*Unable|Unable to load the service index|error : .*(timed out|Resource temporarily)' "$log" || break
        ((try < 3)) && { echo "farspan: packages could not be fetched, trying again…" >&2; sleep $((try * 5)); }
    done
    grep -E '(error|warning) [A-Z]+[0-9]+' "$log" | sed 's/ \[[^]]*\]$//' | sort -u | head -20 >&2
    grep -qE 'error [A-Z]+[0-9]+' "$log" || tail -n 20 "$log" >&2
    echo "farspan: the build failed; all of its output is in $log" >&2
    return 1
}

with_build_lock() {
    local status
    exec {lock}>"$root/artifacts/build.lock"
    flock "$lock"
    "$@"
    status=$?
    exec {lock}>&-
    return $status
}

# Each build goes to a directory of its own, so that a program that still runs (a mount's daemon) keeps its files.
publish_program() {
    up_to_date && return 0
    echo "farspan: building…" >&2
    local build name old
    mkdir -p "$programs"
    build=$(mktemp -d "$programs/build-XXXXXXXX") || return 1
    chmod 755 "$build"
    touch "$build/.built"
    if ! dotnet_quietly "$root/artifacts/build.log" publish "$root/src/Farspan.Cli/Farspan.Cli.csproj" -c Release -o "$build" -v q; then
        rm -rf -- "$build"
        return 1
    fi
    mv "$build/Farspan.Cli" "$build/farspan"
    name=${build##*/}
    ln -sfn "$name" "$programs/current.new" && mv -T "$programs/current.new" "$current"
    for old in "$programs"/build-*; do
        [[ $old == "$build" ]] || grep -qsF "$old/" /proc/[0-9]*/maps || rm -rf -- "$old"
    done
}

build_program() {
    check_dotnet && with_build_lock publish_program
}
