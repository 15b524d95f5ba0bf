using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>Real programs on a file that <c>farspan mount</c> makes of what a server of another make serves.</summary>
public sealed class MountedRemoteTests
{
    private const int Size = 128 << 20;
    private const string Nbdkit = "nbdkit";
    private const string QemuNbd = "qemu-nbd";

    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(100);

    [RequiresTheory("root", "fuse", "fio", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit, "psync", "--direct=0", "--fsync=32")]
    [InlineData(Nbdkit, "libaio", "--direct=1", "--iodepth=16")]
    [InlineData(Nbdkit, "mmap", "--fsync=64")]
    [InlineData(QemuNbd, "psync", "--direct=0", "--fsync=32")]
    [InlineData(QemuNbd, "libaio", "--direct=1", "--iodepth=16")]
    [InlineData(QemuNbd, "mmap", "--fsync=64")]
    public async Task Fio_VerifiesWhatItWrote(string program, string engine, params string[] more)
    {
        await using var mounted = await StartAsync(program);
        await PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=v", $"--filename={mounted.Path}", $"--ioengine={engine}", "--rw=randwrite", "--bsrange=4k-64k", "--blockalign=4k", "--size=16m",
                "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--end_fsync=1", .. more,
            ],
            s_long);
        await mounted.EndAsync();
    }

    [RequiresTheory("root", "fuse", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit, 21)]
    [InlineData(QemuNbd, 22)]
    public async Task Fsx_FindsNoDifference(string program, int seed)
    {
        await using var mounted = await StartAsync(program, 2_000_384);
        await PeerProcess.RunOkAsync(TestProgram.Path("Farspan.Fsx"), [mounted.Path, $"{seed}", "1500"], s_long);
        await mounted.EndAsync();
    }

    [RequiresTheory("root", "fuse", "sqlite3", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit)]
    [InlineData(QemuNbd)]
    public async Task Sqlite_KeepsItsIntegrity_AndTheServerHoldsWhatWasCommitted(string program)
    {
        await using var mounted = await StartAsync(program, 16 << 20);
        string load = string.Concat(Enumerable.Range(1, 60).Select(i => $"begin; update t set v = randomblob(200) where id % 60 = {i % 60}; commit;\n"));
        const string Check = "pragma integrity_check; select count(*), sum(length(v)) from t;\n";
        const string Right = "ok\n2000|400000\n";
        using var directory = new TemporaryDirectory();
        await PeerProcess.RunOkAsync(
            "sqlite3", [directory["seed"]], s_long, input: "create table t(id integer primary key, v blob); create index i on t(v);\n"
            + "with recursive n(x) as (select 1 union all select x+1 from n where x < 2000) insert into t select x, randomblob(200) from n;\n");
        await PeerProcess.RunOkAsync("dd", [$"if={directory["seed"]}", $"of={mounted.Path}", "bs=1M", "status=none", "conv=notrunc,fsync"]);
        await PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: load);
        Assert.Equal(Right, await PeerProcess.RunOkAsync("sqlite3", [mounted.Path], s_long, input: Check));
        await mounted.EndAsync();
        Assert.Equal(Right, await PeerProcess.RunOkAsync("sqlite3", [mounted.Server.Disk], s_long, input: Check));
    }

    [RequiresTheory("root", "fuse", "xfs_io", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit)]
    [InlineData(QemuNbd)]
    public async Task XfsIo_PunchesSeeksAndMaps(string program)
    {
        await using var mounted = await StartAsync(program);
        await PeerProcess.RunOkAsync(
            "xfs_io",
            [
                "-c", "pwrite -S 0xcd 0 4m", "-c", "fpunch 1m 1m", "-c", "pwrite -S 0x11 3333 7777", "-c", "mmap -rw 0 4m", "-c", "mwrite -S 0x77 2m 4097",
                "-c", "msync -s 2m 8k", "-c", "fsync", mounted.Path,
            ]);
        byte[] expected = new byte[5 << 20];
        expected.AsSpan(0, 4 << 20).Fill(0xcd);
        expected.AsSpan(1 << 20, 1 << 20).Clear();
        expected.AsSpan(3333, 7777).Fill(0x11);
        expected.AsSpan(2 << 20, 4097).Fill(0x77);
        byte[] found = new byte[expected.Length];
        await using (var file = File.OpenRead(mounted.Server.Disk))
            await file.ReadExactlyAsync(found);
        Assert.True(expected.AsSpan().SequenceEqual(found), "The server does not hold what was written.");

        // Through the mount too, whose pages must not be older than the hole.
        string dump = await PeerProcess.RunOkAsync("xfs_io", ["-r", "-c", "pread -v 1m 16", "-c", "pread -v 2m 16", "-c", "seek -a -r 0", mounted.Path]);
        Assert.Contains("00100000:  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", dump);
        Assert.Contains("00200000:  77 77 77 77", dump);
        string[] seeks = [.. dump.Split('\n').Where(l => l.StartsWith("DATA", StringComparison.Ordinal) || l.StartsWith("HOLE", StringComparison.Ordinal))];
        Assert.Equal(["DATA\t0", "HOLE\t1048576", "DATA\t2097152", "HOLE\t4194304"], seeks);
        await mounted.EndAsync();
    }

    [RequiresTheory("root", "fuse", "loop", "losetup", "mkfs.ext4", "e2fsck", "tar", "diff", "stress-ng", "fstrim", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit, "on")]
    [InlineData(QemuNbd, "off")]
    public async Task LoopFileSystem_IsWhole_AfterATreeAndUnderStress(string program, string direct)
    {
        await using var mounted = await StartAsync(program);
        using var directory = new TemporaryDirectory();
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", $"--direct-io={direct}", mounted.Path])).Trim();
        Directory.CreateDirectory(directory["fs"]);
        Directory.CreateDirectory(directory["tree"]);
        try
        {
            await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", device]);
            for (int i = 0; i < 40; i++)
                await RandomFile.WriteAsync(directory[$"tree/{i}"], 1 + (i * 9973), (0, 1 + (i * 9973 / 2)));
            await PeerProcess.RunOkAsync("tar", ["-C", directory.Path, "-cf", directory["tree.tar"], "tree"]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            await PeerProcess.RunOkAsync("tar", ["-C", directory["fs"], "-xf", directory["tree.tar"]]);
            await PeerProcess.RunOkAsync(
                "stress-ng",
                [
                    "--hdd", "1", "--hdd-bytes", "16m", "--hdd-opts", "fsync,wr-rnd,rd-rnd", "--mmap", "1", "--mmap-file", "--mmap-async", "--mmap-bytes", "16m",
                    "--verify", "--timeout", "3", "--temp-path", directory["fs"],
                ],
                s_long);
            await PeerProcess.RunOkAsync("fstrim", [directory["fs"]]);
            await PeerProcess.RunOkAsync("umount", [directory["fs"]]);
            await PeerProcess.RunOkAsync("e2fsck", ["-f", "-n", device]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            await PeerProcess.RunOkAsync("diff", ["-r", directory["tree"], directory["fs/tree"]]);
        }
        finally
        {
            await using (await PeerProcess.RunAsync("umount", [directory["fs"]]))
            await using (await PeerProcess.RunAsync("losetup", ["-d", device]))
            {
            }
        }

        await mounted.EndAsync();
        await PeerProcess.RunOkAsync("e2fsck", ["-f", "-n", mounted.Server.Disk]);
    }

    [RequiresTheory("root", "fuse", "fio", "nbdkit", "qemu-nbd")]
    [InlineData(Nbdkit)]
    [InlineData(QemuNbd)]
    public async Task ServerKilledUnderAWriter_ComesBack_AndTheWriterFinishes(string program)
    {
        await using var mounted = await StartAsync(program);
        await using var writer = PeerProcess.Start(
            "fio",
            [
                "--name=v", $"--filename={mounted.Path}", "--ioengine=psync", "--rw=randwrite", "--bs=4k", "--size=16m", "--fsync=8", "--verify=crc32c",
                "--do_verify=1", "--verify_fatal=1", "--end_fsync=1", "--output-format=normal",
            ]);
        for (int i = 0; i < 3; i++)
        {
            long before = Written(mounted.Server.Disk);
            await writer.WaitUntilAsync(w => w.HasExited || Written(mounted.Server.Disk) > before);
            await mounted.Server.RestartAsync();
        }

        await writer.WaitForExitAsync(s_long);
        Assert.True(writer.ExitCode == 0, writer.Report);
        await mounted.EndAsync();
    }

    private static long Written(string path) => File.GetLastWriteTimeUtc(path).Ticks;

    private static async Task<MountedRemote> StartAsync(string program, long size = Size)
    {
        var server = program == Nbdkit ? await NbdPeer.StartFileAsync(size) : await NbdPeer.StartQemuAsync(size);
        return await MountedRemote.MountAsync(server, "--direct");
    }
}
