using System.Globalization;
using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>What the file system is told, seen with its own tools.</summary>
public sealed class LinuxFileHolesTests : IDisposable
{
    private const ExtentKind Hole = ExtentKind.Hole | ExtentKind.Zero;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 120_000)]
    public async Task Extents_AreDataAndHoles()
    {
        await using var backend = Create(8 << 20);
        await backend.WriteAsync(1 << 20, BackendModel.Bytes(1, 64 << 10));
        await backend.WriteAsync(4 << 20, BackendModel.Bytes(2, 64 << 10));
        await backend.FlushAsync();
        Extent[] expected =
        [
            new(0, 1 << 20, Hole),
            new(1 << 20, 64 << 10, ExtentKind.Data),
            new((1 << 20) + (64 << 10), (3 << 20) - (64 << 10), Hole),
            new(4 << 20, 64 << 10, ExtentKind.Data),
            new((4 << 20) + (64 << 10), (4 << 20) - (64 << 10), Hole),
        ];
        Assert.Equal(expected, await ExtentList.AllAsync(backend, 0, backend.Length, 100));
        Assert.Equal(expected, await ExtentList.AllAsync(backend, 0, backend.Length, 1));
        Assert.Equal(
            [new Extent((1 << 20) + 5, 100, ExtentKind.Data)], await ExtentList.AllAsync(backend, (1 << 20) + 5, 100, 7));
    }

    [Fact(Timeout = 120_000)]
    public async Task Trim_FreesBlocks()
    {
        await using var backend = Create(8 << 20);
        await backend.WriteAsync(0, BackendModel.Bytes(3, 8 << 20));
        await backend.FlushAsync();
        long full = await AllocatedAsync();
        await backend.TrimAsync(1 << 20, 4 << 20);
        await backend.FlushAsync();
        Assert.InRange(await AllocatedAsync(), 0, full - (4 << 20) + (64 << 10));
        Assert.Equal(8 << 20, new FileInfo(_directory["a"]).Length);
    }

    [Fact(Timeout = 120_000)]
    public async Task Zero_FreesBlocks_AndKeepAllocatedDoesNot()
    {
        await using var backend = Create(8 << 20);
        await backend.ZeroAsync(0, 4 << 20, ZeroMode.KeepAllocated);
        await backend.FlushAsync();
        long kept = await AllocatedAsync();
        Assert.InRange(kept, 4 << 20, (4 << 20) + (1 << 20));
        await backend.ZeroAsync(0, 4 << 20);
        await backend.FlushAsync();
        Assert.InRange(await AllocatedAsync(), 0, 64 << 10);
    }

    [Fact(Timeout = 120_000)]
    public async Task ZeroFastOnly_IsHonouredWhereHolesCanBeHad()
    {
        await using var backend = Create(1 << 20);
        Assert.True(backend.CanZeroFast);
        await backend.WriteAsync(0, BackendModel.Bytes(4, 1 << 20));
        await backend.ZeroAsync(1000, 500_000, ZeroMode.FastOnly);
        byte[] buffer = new byte[1 << 20];
        await backend.ReadAsync(0, buffer);
        Assert.False(buffer.AsSpan(1000, 500_000).ContainsAnyExcept((byte)0));
        Assert.NotEqual(0, buffer[999]);
        Assert.NotEqual(0, buffer[501_000]);
    }

    [Fact(Timeout = 120_000)]
    public async Task Shortened_FailsReadsInsteadOfMakingUpZeroes()
    {
        await using var backend = Create(100_000);
        await backend.WriteAsync(0, BackendModel.Bytes(5, 100_000));
        using (var other = new FileStream(_directory["a"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0, FileOptions.None))
            other.SetLength(50_000);
        foreach (long offset in new long[] { 0, 49_000, 50_000, 99_000 })
        {
            var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(offset, new byte[Math.Min(60_000, 100_000 - offset)]));
            Assert.Equal(BackendError.InputOutput, error.Error);
            Assert.Contains("shortened", error.Message, StringComparison.Ordinal);
        }
    }

    private LinuxFileBackend Create(long length)
        => LinuxFileBackend.Open(_directory["a"], new FileBackendOptions { Length = length, Lock = false });

    private async Task<long> AllocatedAsync()
        => 512 * long.Parse(await PeerProcess.RunOkAsync("stat", ["-c", "%b", _directory["a"]]), CultureInfo.InvariantCulture);
}
