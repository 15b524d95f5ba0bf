using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>
/// Real programs on a managed mount whose line is slowed, cut and restored while they work: they see a pause at most, and in the end the server
/// holds what they wrote.
/// </summary>
public sealed class ProgramsOverATroubledLineTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(150);

    [RequiresFact("root", "fuse", "fio", "qemu-nbd")]
    public async Task Fio_VerifiesWhatItWrote()
    {
        await using var mounted = await TroubledMount.StartAsync(32 << 20);
        await mounted.UnderTroubleAsync(() => PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=v", $"--filename={mounted.Path}", "--ioengine=libaio", "--direct=1", "--iodepth=8", "--rw=randwrite", "--bsrange=4k-64k",
                "--blockalign=4k", "--size=4m", "--fsync=16", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--end_fsync=1",
            ],
            s_long));
        File.Copy(mounted.Path, mounted.Directory["last"]);
        await mounted.EndAsync();
        await PeerProcess.RunOkAsync("cmp", [mounted.Directory["last"], mounted.Server.Disk]);
    }

    [RequiresFact("root", "fuse", "sqlite3", "qemu-nbd", "dd")]
    public async Task SqliteInWalMode_KeepsItsIntegrity_AndTheServerHoldsWhatWasCommitted()
    {
        await using var mounted = await TroubledMount.StartAsync(16 << 20);
        await PeerProcess.RunOkAsync(
            "sqlite3", [mounted.Directory["seed"]], s_long, input: "pragma journal_mode = wal; create table t(id integer primary key, n integer, v blob); create index i on t(v);\n"
            + "with recursive r(x) as (select 1 union all select x+1 from r where x < 2000) insert into t select x, 0, randomblob(200) from r;\n");
        await PeerProcess.RunOkAsync("dd", [$"if={mounted.Directory["seed"]}", $"of={mounted.Path}", "bs=1M", "status=none", "conv=notrunc,fsync"]);
        int loads = 0;
        await mounted.UnderTroubleAsync(() =>
        {
            loads++;
            string load = "pragma synchronous = full; pragma wal_autocheckpoint = 20;\n"
                + string.Concat(Enumerable.Range(0, 40).Select(i => $"begin; update t set n = n + 1, v = randomblob(200) where id % 40 = {i}; commit;\n"));
            return PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: load);
        });
        string right = $"ok\n2000|{loads}|{loads}|400000|wal\n";
        const string Check = "pragma integrity_check; select count(*), min(n), max(n), sum(length(v)), (select journal_mode from pragma_journal_mode) from t;\n";
        Assert.Equal(right, await PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: Check));
        await mounted.EndAsync();
        Assert.Equal(right, await PeerProcess.RunOkAsync("sqlite3", [mounted.Server.Disk], s_long, input: Check));
    }

    [RequiresFact("root", "fuse", "loop", "losetup", "mkfs.ext4", "e2fsck", "tar", "diff", "qemu-nbd")]
    public async Task Ext4_IsWhole_AndHasTheTreeThatWasUnpacked()
    {
        await using var mounted = await TroubledMount.StartAsync(64 << 20);
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", "--direct-io=on", mounted.Path])).Trim();
        Directory.CreateDirectory(mounted.Directory["fs"]);
        Directory.CreateDirectory(mounted.Directory["tree"]);
        for (int i = 0; i < 40; i++)
            await RandomFile.WriteAsync(mounted.Directory[$"tree/{i}"], 1 + (i * 9973), (0, 1 + (i * 9973 / 2)));
        await PeerProcess.RunOkAsync("tar", ["-C", mounted.Directory.Path, "-cf", mounted.Directory["tree.tar"], "tree"]);
        int trees = 0;
        try
        {
            await mounted.UnderTroubleAsync(async () =>
            {
                if (trees == 0)
                    await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", device], s_long);
                await PeerProcess.RunOkAsync("mount", [device, mounted.Directory["fs"]], s_long);
                string place = mounted.Directory[$"fs/{trees++ % 2}"];
                Directory.CreateDirectory(place);
                await PeerProcess.RunOkAsync("tar", ["-C", place, "-xf", mounted.Directory["tree.tar"]], s_long);
                await PeerProcess.RunOkAsync("umount", [mounted.Directory["fs"]], s_long);
            });
            await PeerProcess.RunOkAsync("e2fsck", ["-f", "-n", device], s_long);
            await PeerProcess.RunOkAsync("mount", [device, mounted.Directory["fs"]], s_long);
            for (int tree = 0; tree < Math.Min(2, trees); tree++)
                await PeerProcess.RunOkAsync("diff", ["-r", mounted.Directory["tree"], mounted.Directory[$"fs/{tree}/tree"]], s_long);
        }
        finally
        {
            mounted.Line.Restore();
            await using (await PeerProcess.RunAsync("umount", [mounted.Directory["fs"]]))
            await using (await PeerProcess.RunAsync("losetup", ["-d", device]))
            {
            }
        }

        await mounted.EndAsync();
        await PeerProcess.RunOkAsync("e2fsck", ["-f", "-n", mounted.Server.Disk]);
    }
}
