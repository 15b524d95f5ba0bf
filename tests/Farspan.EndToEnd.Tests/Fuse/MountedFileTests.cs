using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Fuse;

/// <summary>Real programs on a mounted file, which another process serves from memory.</summary>
public sealed class MountedFileTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(100);

    [RequiresTheory("root", "fuse")]
    [InlineData(1, 3_000_123, "")]
    [InlineData(2, 4096, "")]
    [InlineData(3, 1_000_001, "lends=off")]
    [InlineData(4, 2_000_000, "delay=0.05")]
    [InlineData(5, 2_000_000, "writeback=on")]
    [InlineData(6, 700_000, "ranges=off")]
    [InlineData(7, 1_500_000, "threads=1")]
    public async Task Fsx_FindsNoDifference(int seed, int size, string knob)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, $"size={size}", knob);
        await PeerProcess.RunOkAsync(TestProgram.Path("Farspan.Fsx"), [host.Path, $"{seed}", "3000"], s_long);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Fsx_WhileTheServerCollectsGarbageAtEachCall_FindsNoDifference()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, "size=2000000", "lends=off");
        await host.TellAsync("collect");
        await PeerProcess.RunOkAsync(TestProgram.Path("Farspan.Fsx"), [host.Path, "8", "1000"], s_long);
        Assert.True(await host.CountAsync("collections") > 100);
        await host.EndAsync();
    }

    [RequiresTheory("root", "fuse", "fio")]
    [InlineData("psync", "--direct=0")]
    [InlineData("libaio", "--direct=1", "--iodepth=16")]
    [InlineData("mmap", "--fsync=64")]
    public async Task Fio_VerifiesWhatItWrote(string engine, params string[] more)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, "size=33554432");
        await PeerProcess.RunOkAsync(
            "fio",
            [
                "--name=v", $"--filename={host.Path}", $"--ioengine={engine}", "--rw=randwrite", "--bsrange=4k-64k", "--blockalign=4k", "--size=32m",
                "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--end_fsync=1", .. more,
            ],
            s_long);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "sqlite3")]
    public async Task Sqlite_KeepsItsIntegrity_ThroughWritesAndAnotherMount()
    {
        using var directory = new TemporaryDirectory();
        string database = directory["seed.db"];
        await PeerProcess.RunOkAsync(
            "sqlite3", [database], input: "create table t(id integer primary key, v blob); create index i on t(v);\n"
            + "with recursive n(x) as (select 1 union all select x+1 from n where x < 2000) insert into t select x, randomblob(200) from n;\n");
        long size = new FileInfo(database).Length;
        // Room to grow: the file itself cannot.
        await using var host = await StartAsync(directory, $"size={size * 3}");
        await PeerProcess.RunOkAsync("dd", [$"if={database}", $"of={host.Path}", "bs=1M", "status=none", "conv=notrunc,fsync"]);
        string load = string.Concat(Enumerable.Range(1, 60).Select(i => $"begin; update t set v = randomblob(200) where id % 60 = {i % 60}; commit;\n"));
        await PeerProcess.RunOkAsync("sqlite3", [host.Path], s_long, input: load);
        Assert.Equal("ok\n2000\n", await PeerProcess.RunOkAsync("sqlite3", [host.Path], input: "pragma integrity_check; select count(*) from t;\n"));
        await PeerProcess.RunOkAsync("dd", [$"if={host.Path}", $"of={directory["copy.db"]}", "bs=1M", "status=none"]);
        await host.EndAsync();
        Assert.Equal("ok\n2000\n", await PeerProcess.RunOkAsync("sqlite3", [directory["copy.db"]], input: "pragma integrity_check; select count(*) from t;\n"));
    }

    [RequiresTheory("root", "fuse", "loop", "losetup", "mkfs.ext4", "e2fsck", "diff", "fstrim")]
    [InlineData("off")]
    [InlineData("on")]
    public async Task LoopDevice_CarriesAFileSystem(string direct)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, "size=134217728");
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", $"--direct-io={direct}", host.Path])).Trim();
        Directory.CreateDirectory(directory["fs"]);
        Directory.CreateDirectory(directory["tree"]);
        try
        {
            await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", device]);
            await MakeTreeAsync(directory["tree"]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            await PeerProcess.RunOkAsync("tar", ["-C", directory.Path, "-cf", directory["fs/tree.tar"], "tree"]);
            await PeerProcess.RunOkAsync("tar", ["-C", directory["fs"], "-xf", directory["fs/tree.tar"]]);
            await PeerProcess.RunOkAsync("umount", [directory["fs"]]);
            await PeerProcess.RunOkAsync("e2fsck", ["-f", "-n", device]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            await PeerProcess.RunOkAsync("diff", ["-r", directory["tree"], directory["fs/tree"]]);
            File.Delete(directory["fs/tree.tar"]);
            await PeerProcess.RunOkAsync("fstrim", [directory["fs"]]);
            await PeerProcess.RunOkAsync("diff", ["-r", directory["tree"], directory["fs/tree"]]);
        }
        finally
        {
            await using (await PeerProcess.RunAsync("umount", [directory["fs"]]))
            await using (await PeerProcess.RunAsync("losetup", ["-d", device]))
            {
            }
        }

        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "loop", "losetup", "mkfs.ext4")]
    public async Task ServerThatDiesUnderAFileSystem_FailsItsUsers_AndHoldsNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, "size=67108864");
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", host.Path])).Trim();
        Directory.CreateDirectory(directory["fs"]);
        await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", device]);
        await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
        await host.Process.SignalAsync("KILL");
        await using (var writer = await PeerProcess.RunAsync("dd", ["if=/dev/zero", $"of={directory["fs/file"]}", "bs=1M", "count=8", "conv=fsync", "status=none"]))
            Assert.NotEqual(0, writer.ExitCode);
        await using (await PeerProcess.RunAsync("umount", [directory["fs"]]))
            await PeerProcess.RunOkAsync("losetup", ["-d", device]);
    }

    [RequiresFact("root", "fuse", "loop", "losetup", "mkfs.ext4", "stress-ng")]
    public async Task StressNg_OnALoopFileSystem_FindsNothingWrong()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory, "size=268435456");
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", "--direct-io=on", host.Path])).Trim();
        Directory.CreateDirectory(directory["fs"]);
        try
        {
            await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", device]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            await PeerProcess.RunOkAsync(
                "stress-ng",
                [
                    "--hdd", "1", "--hdd-bytes", "32m", "--mmap", "1", "--mmap-file", "--mmap-bytes", "32m", "--verify", "--timeout", "5",
                    "--temp-path", directory["fs"],
                ],
                s_long);
        }
        finally
        {
            await using (await PeerProcess.RunAsync("umount", [directory["fs"]]))
            await using (await PeerProcess.RunAsync("losetup", ["-d", device]))
            {
            }
        }

        await host.EndAsync();
    }

    // A device node of its own, open to all, in a mount namespace of its own: fusermount3 opens the device as its caller.
    [RequiresFact("root", "fuse", "fusermount3", "unshare", "setpriv", "nsenter")]
    public async Task UserOtherThanRoot_MountsThroughFusermount()
    {
        using var directory = new TemporaryDirectory();
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0x1FF);
        Directory.CreateDirectory(directory["device"]);
        const string script = "mount -t tmpfs none \"$1/device\" && mknod -m 666 \"$1/device/fuse\" c 10 229 && mount --bind \"$1/device/fuse\" /dev/fuse && "
            + "exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=\"$1\" \"$2\" \"$1/disk\" size=1000000";
        await using var host = PeerProcess.Start("unshare", ["-m", "--propagation", "private", "sh", "-c", script, "sh", directory.Path, FuseHost.Program]);
        await host.WaitUntilAsync(h => h.Output.Contains('\n', StringComparison.Ordinal));
        Assert.StartsWith($"ready {directory["disk"]}", host.Output, StringComparison.Ordinal);
        string[] inside = ["-t", $"{host.Id}", "-m", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        await PeerProcess.RunOkAsync("nsenter", [.. inside, "dd", "if=/dev/zero", $"of={directory["disk"]}", "bs=1000", "count=1000", "conv=notrunc,fsync", "status=none"]);
        Assert.Equal("1000000\n", await PeerProcess.RunOkAsync("nsenter", [.. inside, "stat", "-c", "%s", directory["disk"]]));
        await host.StandardInput.WriteLineAsync("unmount");
        host.StandardInput.Close();
        await host.WaitForExitAsync(s_long);
        Assert.True(host.ExitCode == 0 && host.Output.EndsWith("unmounted\n", StringComparison.Ordinal), host.Report);
        Assert.False(File.Exists(directory["disk"]));
    }

    private static Task<FuseHost> StartAsync(TemporaryDirectory directory, params string[] knobs)
        => FuseHost.StartAsync(directory["disk"], [.. knobs.Where(k => k.Length > 0)]);

    private static async Task MakeTreeAsync(string path)
    {
        var random = new Random(3);
        for (int i = 0; i < 60; i++)
        {
            string name = Path.Combine(path, $"{i % 7}", $"{i}");
            Directory.CreateDirectory(Path.GetDirectoryName(name)!);
            byte[] bytes = new byte[random.Next(300_000)];
            random.NextBytes(bytes);
            await File.WriteAllBytesAsync(name, bytes);
        }
    }
}
