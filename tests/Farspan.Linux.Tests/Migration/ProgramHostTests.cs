using System.IO.MemoryMappedFiles;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

/// <summary>A mounted file whose region goes to another host, as programs see it. Another process serves it.</summary>
public sealed class ProgramHostTests
{
    private const int Length = 1 << 20;
    private const int Place = 300_000;

    [RequiresFact("root", "fuse")]
    public async Task MappedPages_HaveReachedTheBackend_OnceSuspended()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory);
        using (var mapped = MemoryMappedFile.CreateFromFile(host.Path, FileMode.Open))
        using (var view = mapped.CreateViewAccessor())
        {
            view.Write(Place, (byte)42);
            Assert.Equal([0], await host.PeekAsync(Place, 1));
            await host.TellAsync("suspend");
            Assert.Equal([42], await host.PeekAsync(Place, 1));
            await host.TellAsync("resume");
            view.Write(Place, (byte)43);
            await host.TellAsync("suspend");
            Assert.Equal([43], await host.PeekAsync(Place, 1));
            await host.TellAsync("resume");
        }

        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task MappedPages_ReachTheBackend_WhileTheProgramGoesOn()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory);
        using (var mapped = MemoryMappedFile.CreateFromFile(host.Path, FileMode.Open))
        using (var view = mapped.CreateViewAccessor())
        {
            view.Write(Place, (byte)42);
            await host.TellAsync("write-back");
            Assert.Equal([42], await host.PeekAsync(Place, 1));
            view.Write(Place, (byte)43);
            Assert.Equal([42], await host.PeekAsync(Place, 1));
            await host.TellAsync("write-back");
            Assert.Equal([43], await host.PeekAsync(Place, 1));
            await WriteAsync(host, [1]);
        }

        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Suspended_NobodyGetsThrough_UntilResumed()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory);
        await host.TellAsync("suspend");
        var writing = Task.Run(() => WriteAsync(host, [1, 2, 3]));
        var reading = Task.Run(() => ReadAsync(host, Place));
        await host.TellAsync("poke 300000 07");
        Assert.Equal([0], await host.PeekAsync(0, 1));
        Assert.Equal((false, false), (writing.IsCompleted, reading.IsCompleted));
        await host.TellAsync("resume");
        await writing;
        Assert.Equal(7, await reading);
        Assert.Equal([1, 2, 3], await host.PeekAsync(0, 3));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task AfterTheHandOver_ReadersGetNothing_NotEvenWhatTheKernelHadKept()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory);
        using var mapped = MemoryMappedFile.CreateFromFile(host.Path, FileMode.Open);
        using var view = mapped.CreateViewAccessor();
        Assert.Equal(0, view.ReadByte(Place));
        Assert.Equal(0, await ReadAsync(host, Place));
        await host.TellAsync("suspend");
        Assert.Equal(0, await ReadAsync(host, Place));
        var waiting = Task.Run(() => ReadAsync(host, Length - 1));
        await host.TellAsync("depart");
        await Assert.ThrowsAsync<IOException>(() => waiting);
        await Assert.ThrowsAsync<IOException>(() => ReadAsync(host, Place));

        // The bytes change elsewhere, and the region comes back.
        await host.TellAsync("poke 300000 09");
        await host.TellAsync("resume");
        Assert.Equal(9, view.ReadByte(Place));
        Assert.Equal(9, await ReadAsync(host, Place));
        view.Dispose();
        mapped.Dispose();
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task AfterTheHandOver_ItCanBeUnmounted_ThoughSomebodyStillReads()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await StartAsync(directory);
        await host.TellAsync("suspend");
        var waiting = Task.Run(() => ReadAsync(host, Place));
        await host.TellAsync("depart");
        await Assert.ThrowsAsync<IOException>(() => waiting);
        await host.TellAsync("unmount", "unmounted");
        await host.EndAsync();
    }

    private static Task<FuseHost> StartAsync(TemporaryDirectory directory)
        => FuseHost.StartAsync(directory["disk"], $"size={Length}", "face=on", "read-ahead=4096");

    private static async Task WriteAsync(FuseHost host, byte[] bytes)
    {
        await using var file = new FileStream(host.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        await file.WriteAsync(bytes);
    }

    private static async Task<byte> ReadAsync(FuseHost host, long offset)
    {
        await using var file = new FileStream(host.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        file.Position = offset;
        byte[] one = new byte[1];
        await file.ReadExactlyAsync(one);
        return one[0];
    }
}
