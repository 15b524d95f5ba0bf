using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>Real programs on a managed mount of what nbdkit serves.</summary>
public sealed class ManagedProgramsTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(100);

    [RequiresTheory("root", "fuse", "fio", "nbdkit")]
    [InlineData("psync", "--direct=0", "--fsync=32")]
    [InlineData("libaio", "--direct=1", "--iodepth=16")]
    [InlineData("mmap", "--fsync=64")]
    public async Task Fio_VerifiesWhatItWrote(string engine, params string[] more)
    {
        await using var mounted = await MountedRemote.MountAsync(await NbdPeer.StartFileAsync(32 << 20), "--push-interval", "100ms");
        await PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=v", $"--filename={mounted.Path}", $"--ioengine={engine}", "--rw=randwrite", "--bsrange=4k-64k", "--blockalign=4k", "--size=16m",
                "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--end_fsync=1", .. more,
            ],
            s_long);
        await mounted.EndAsync();
    }

    [RequiresFact("root", "fuse", "nbdkit", "cmp")]
    public async Task Fsx_FindsNoDifference_AndTheServerHasTheSame()
    {
        using var directory = new TemporaryDirectory();
        await using var mounted = await MountedRemote.MountAsync(
            await NbdPeer.StartFileAsync(2_000_384), "--cache", directory["cache"], "--cache-size", "1MiB", "--dirty-limit", "256KiB", "--push-interval", "50ms");
        await PeerProcess.RunOkAsync(TestProgram.Path("Farspan.Fsx"), [mounted.Path, "23", "1500"], s_long);
        File.Copy(mounted.Path, directory["last"]);
        await mounted.EndAsync();
        await PeerProcess.RunOkAsync("cmp", [directory["last"], mounted.Server.Disk]);
    }

    [RequiresFact("root", "fuse", "sqlite3", "nbdkit")]
    public async Task Sqlite_KeepsItsIntegrity_AndTheServerHoldsWhatWasCommitted()
    {
        await using var mounted = await MountedRemote.MountAsync(await NbdPeer.StartFileAsync(16 << 20), "--pull-order", "reverse");
        using var directory = new TemporaryDirectory();
        await PeerProcess.RunOkAsync(
            "sqlite3", [directory["seed"]], s_long, input: "create table t(id integer primary key, v blob); create index i on t(v);\n"
            + "with recursive n(x) as (select 1 union all select x+1 from n where x < 2000) insert into t select x, randomblob(200) from n;\n");
        await PeerProcess.RunOkAsync("dd", [$"if={directory["seed"]}", $"of={mounted.Path}", "bs=1M", "status=none", "conv=notrunc,fsync"]);
        string load = string.Concat(Enumerable.Range(1, 60).Select(i => $"begin; update t set v = randomblob(200) where id % 60 = {i % 60}; commit;\n"));
        await PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: load);
        const string Check = "pragma integrity_check; select count(*), sum(length(v)) from t;\n";
        Assert.Equal("ok\n2000|400000\n", await PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: Check));
        await mounted.EndAsync();
        Assert.Equal("ok\n2000|400000\n", await PeerProcess.RunOkAsync("sqlite3", [mounted.Server.Disk], s_long, input: Check));
    }
}
