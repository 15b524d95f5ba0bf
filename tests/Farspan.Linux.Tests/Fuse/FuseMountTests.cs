using System.Net.Sockets;
using System.Security.Cryptography;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>A mounted file as programs see it. Another process serves it.</summary>
public sealed class FuseMountTests
{
    [RequiresFact("root", "fuse")]
    public async Task AbsentPath_BecomesTheFile_AndIsAbsentAgainAfterwards()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "size=5000001");
        Assert.Equal(directory["disk"], host.Path);
        Assert.Equal(5_000_001, new FileInfo(host.Path).Length);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(host.Path));
        byte[] bytes = RandomNumberGenerator.GetBytes(300_000);
        await WriteAsync(host.Path, 4_000_000, bytes);
        Assert.Equal(bytes, await host.PeekAsync(4_000_000, bytes.Length));
        await host.TellAsync("unmount", "unmounted");
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task RegularFile_IsCovered_AndUntouchedAfterwards()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["disk"], "mine");
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await WriteAsync(host.Path, 0, "other"u8.ToArray());
        await host.EndAsync();
        Assert.Equal("mine", await File.ReadAllTextAsync(directory["disk"]));
    }

    [RequiresFact("root", "fuse")]
    public async Task EmptyRegularFile_IsNoPlaceholder_AndStays()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["disk"], "");
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await host.EndAsync();
        Assert.True(File.Exists(directory["disk"]));
    }

    [RequiresFact("root", "fuse")]
    public async Task Directory_ShowsTheFileAlone()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["d"]);
        await File.WriteAllTextAsync(directory["d/hidden"], "");
        await using var host = await FuseHost.StartAsync(directory["d"], "name=ä disk.img");
        Assert.Equal(directory["d/ä disk.img"], host.Path);
        Assert.Equal([host.Path], Directory.GetFileSystemEntries(directory["d"]));
        Assert.Throws<UnauthorizedAccessException>(() => File.WriteAllText(directory["d/new"], ""));
        Assert.False(File.Exists(directory["d/hidden"]));
        await WriteAsync(host.Path, 100, [1, 2, 3]);
        Assert.Equal([1, 2, 3], await ReadAsync(host.Path, 100, 3));
        await host.EndAsync();
        Assert.Equal([directory["d/hidden"]], Directory.GetFileSystemEntries(directory["d"]));
    }

    [RequiresFact("root", "fuse")]
    public async Task PathThroughASymbolicLink_MountsWhereItPoints()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["real"]);
        Directory.CreateSymbolicLink(directory["link"], directory["real"]);
        await using var host = await FuseHost.StartAsync(directory["link/disk"]);
        Assert.Equal(directory["real/disk"], host.Path);
        await host.EndAsync();
        Assert.Empty(Directory.GetFileSystemEntries(directory["real"]));
    }

    [RequiresTheory("root", "fuse")]
    [InlineData("missing/disk", "there is no directory")]
    [InlineData("file/disk", "Cannot mount at")]
    [InlineData("socket", "give a regular file")]
    public async Task TargetThatCannotBe_IsRefusedInOneLine(string target, string reason)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["file"], "");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(directory["socket"]));
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => FuseHost.StartAsync(directory[target]));
        Assert.StartsWith("refused ", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal([directory["file"], directory["socket"]], Directory.GetFileSystemEntries(directory.Path).Order());
    }

    [RequiresFact("root", "fuse")]
    public async Task Fsync_FlushesTheBackend_AndCloseDoesNot()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await WriteAsync(host.Path, 0, [1]);
        Assert.Equal(0, await host.CountAsync("flushes"));
        using (var file = new FileStream(host.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0))
        {
            file.Write([1, 2]);
            file.Flush(flushToDisk: true);
            Assert.Equal(1, await host.CountAsync("flushes"));
        }

        await host.TellAsync("unmount", "unmounted");
        Assert.Equal(1, await host.CountAsync("flushes"));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Unmount_FlushesWhatWasNotFlushed()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await WriteAsync(host.Path, 0, [1]);
        await host.TellAsync("unmount", "unmounted");
        Assert.Equal(1, await host.CountAsync("flushes"));
        await host.EndAsync();
    }

    [RequiresTheory("root", "fuse", "xfs_io")]
    [InlineData("")]
    [InlineData("writeback=on")]
    public async Task MappedWrites_ReachTheBackendByMsync(string knob)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], knob.Length > 0 ? [knob] : []);
        await PeerProcess.RunOkAsync(
            "xfs_io", ["-c", "mmap -rw 0 1m", "-c", "mwrite -S 0x41 4000 200", "-c", "msync -s 0 1m", "-c", "mwrite -S 0x42 300000 1", "-c", "munmap", host.Path]);
        Assert.All(await host.PeekAsync(4000, 200), b => Assert.Equal(0x41, b));
        Assert.Equal([0x42], await host.PeekAsync(300_000, 1));
        Assert.True(await host.CountAsync("flushes") > 0);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "dd")]
    public async Task Size_StaysWhatItIs()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "size=1000000");
        using (var file = new FileStream(host.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 0))
        {
            Assert.ThrowsAny<Exception>(() => file.SetLength(10));
            Assert.ThrowsAny<Exception>(() => file.SetLength(0));
            Assert.ThrowsAny<Exception>(() => file.SetLength(1_000_001));
            file.SetLength(1_000_000);
            file.Position = 999_999;
            var full = Assert.ThrowsAny<IOException>(() => file.Write([1, 2]));
            Assert.Contains("space", full.Message, StringComparison.OrdinalIgnoreCase);
        }

        await WriteAsync(host.Path, 10, [7]);
        await PeerProcess.RunOkAsync("sh", ["-c", $"printf abc > {host.Path}"]);
        Assert.Equal(1_000_000, new FileInfo(host.Path).Length);
        Assert.Equal("abc\0\0\0\0\0\0\0\a"u8.ToArray(), await ReadAsync(host.Path, 0, 11));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "dd")]
    public async Task OpenWithTruncation_IsRefusedWhereAskedFor()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "ignore-truncation=off");
        await using var shell = await PeerProcess.RunAsync("sh", ["-c", $"printf abc > {host.Path}"]);
        Assert.NotEqual(0, shell.ExitCode);
        Assert.Equal(new byte[3], await host.PeekAsync(0, 3));
        await host.EndAsync();
    }

    [RequiresTheory("root", "fuse")]
    [InlineData("read-only=on")]
    [InlineData("backend-read-only=on")]
    public async Task ReadOnlyMount_IsReadButNotWritten(string knob)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], knob);
        Assert.Equal(new byte[4096], await ReadAsync(host.Path, 4096, 4096));
        Assert.Equal(UnixFileMode.UserRead, File.GetUnixFileMode(host.Path));
        Assert.ThrowsAny<Exception>(() => File.OpenHandle(host.Path, FileMode.Open, FileAccess.Write));
        Assert.ThrowsAny<Exception>(() => File.SetLastWriteTimeUtc(host.Path, DateTime.UnixEpoch));
        await host.TellAsync("unmount", "unmounted");
        Assert.Equal(0, await host.CountAsync("flushes"));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Times_CanBeSet_AndWritingChangesThem()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        var time = new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(host.Path, time);
        Assert.Equal(time, File.GetLastWriteTimeUtc(host.Path));
        await WriteAsync(host.Path, 0, [1]);
        Assert.True(File.GetLastWriteTimeUtc(host.Path) > time);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "xfs_io")]
    public async Task HolesAndData_AreFound_AndPunchedHolesReadAsZero()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "size=16777216");
        await PeerProcess.RunOkAsync("xfs_io", ["-c", "pwrite -S 1 8m 1m", host.Path]);
        string found = await PeerProcess.RunOkAsync("xfs_io", ["-r", "-c", "seek -a -r 0", host.Path]);
        Assert.Contains("DATA\t8388608", found, StringComparison.Ordinal);
        Assert.Contains("HOLE\t9437184", found, StringComparison.Ordinal);
        await PeerProcess.RunOkAsync("xfs_io", ["-c", "fpunch 8390000 5000", "-c", "fzero -k 8500000 70000", host.Path]);
        Assert.All(await ReadAsync(host.Path, 8_390_000, 5000), b => Assert.Equal(0, b));
        Assert.All(await ReadAsync(host.Path, 8_500_000, 70_000), b => Assert.Equal(0, b));
        Assert.All(await ReadAsync(host.Path, 8_395_000, 100_000), b => Assert.Equal(1, b));
        await host.EndAsync();
    }

    internal static async Task WriteAsync(string path, long offset, byte[] bytes)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        await RandomAccess.WriteAsync(file, bytes, offset);
    }

    internal static async Task<byte[]> ReadAsync(string path, long offset, int length)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[length];
        int done = 0;
        while (done < length)
        {
            int read = await RandomAccess.ReadAsync(file, bytes.AsMemory(done), offset + done);
            Assert.NotEqual(0, read);
            done += read;
        }

        return bytes;
    }
}
