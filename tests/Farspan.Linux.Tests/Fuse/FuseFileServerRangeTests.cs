using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class FuseFileServerRangeTests
{
    private const int Length = 1 << 20;
    private const uint Punch = FuseProtocol.FALLOC_FL_PUNCH_HOLE | FuseProtocol.FALLOC_FL_KEEP_SIZE;

    [Theory(Timeout = 120_000)]
    [InlineData(Punch)]
    [InlineData(FuseProtocol.FALLOC_FL_ZERO_RANGE)]
    [InlineData(FuseProtocol.FALLOC_FL_ZERO_RANGE | FuseProtocol.FALLOC_FL_KEEP_SIZE)]
    public async Task ZeroingModes_MakeTheRangeReadAsZero(uint mode)
    {
        await using var memory = new MemoryBackend(Length);
        await memory.WriteAsync(0, Enumerable.Repeat((byte)7, 100).ToArray());
        using var rig = new ServerRig(memory);
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { offset = 10, length = 20, mode = mode });
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
        byte[] found = new byte[100];
        await memory.ReadAsync(0, found);
        Assert.Equal([.. Enumerable.Repeat((byte)7, 10), .. new byte[20], .. Enumerable.Repeat((byte)7, 70)], found);
        Assert.True(rig.Writes.IsDirty);
    }

    [Fact(Timeout = 120_000)]
    public async Task Punch_AcrossTheEnd_StopsThere_AndBehindItDoesNothing()
    {
        await using var memory = new MemoryBackend(Length);
        await memory.WriteAsync(Length - 10, Enumerable.Repeat((byte)7, 10).ToArray());
        using var rig = new ServerRig(memory);
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { offset = Length - 5, length = ulong.MaxValue / 2, mode = Punch });
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
        byte[] found = new byte[10];
        await memory.ReadAsync(Length - 10, found);
        Assert.Equal([7, 7, 7, 7, 7, 0, 0, 0, 0, 0], found);
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { offset = Length + 5, length = 5, mode = Punch });
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0, Length, 0u, 0)]
    [InlineData(0, Length, FuseProtocol.FALLOC_FL_KEEP_SIZE, 0)]
    [InlineData(1, Length, 0u, 28)]
    [InlineData(Length, 1, FuseProtocol.FALLOC_FL_ZERO_RANGE, 28)]
    [InlineData(0, 10, 8u, 95)]
    public async Task Allocation_SucceedsInsideTheFileOnly(long offset, long length, uint mode, int errno)
    {
        await using var memory = new MemoryBackend(Length);
        using var rig = new ServerRig(memory);
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { offset = (ulong)offset, length = (ulong)length, mode = mode });
        Assert.Equal(-errno, rig.Channel.LastHeader.error);
    }

    [Fact(Timeout = 120_000)]
    public Task Punch_OnABackendThatCannotZero_IsNotSupported()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { offset = 0, length = 4096, mode = Punch });
        Assert.Equal(Errno.EOPNOTSUPP, rig.Channel.LastError);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task Seek_FindsDataAndHoles()
    {
        using var rig = new ServerRig(new ScriptedBackend(3 * Length) { Powers = [new Islands(Length)] });
        Assert.Equal(Length, await SeekAsync(rig, 0, FuseProtocol.SEEK_DATA));
        Assert.Equal(Length + 5, await SeekAsync(rig, Length + 5, FuseProtocol.SEEK_DATA));
        Assert.Equal(5, await SeekAsync(rig, 5, FuseProtocol.SEEK_HOLE));
        Assert.Equal(2 * Length, await SeekAsync(rig, Length, FuseProtocol.SEEK_HOLE));
        Assert.Equal(-(int)Errno.ENXIO, await SeekAsync(rig, 2 * Length, FuseProtocol.SEEK_DATA));
        Assert.Equal(-(int)Errno.ENXIO, await SeekAsync(rig, 3 * Length, FuseProtocol.SEEK_HOLE));
        Assert.Equal(-(int)Errno.EINVAL, await SeekAsync(rig, 0, 0));
    }

    [Fact(Timeout = 120_000)]
    public async Task Seek_WhileSomebodyMayHoldItMapped_TakesAllForData()
    {
        using var rig = new ServerRig(new ScriptedBackend(3 * Length) { Powers = [new Islands(Length)] });
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_RDWR });
        var handle = rig.Channel.LastStruct<FuseOpenOut>();
        Assert.Equal(0, await SeekAsync(rig, 0, FuseProtocol.SEEK_DATA));
        Assert.Equal(3 * Length, await SeekAsync(rig, 0, FuseProtocol.SEEK_HOLE));
        rig.Send(FuseOpcode.RELEASE, new FuseReleaseIn { fh = handle.fh });
        Assert.Equal(Length, await SeekAsync(rig, 0, FuseProtocol.SEEK_DATA));
    }

    [Fact(Timeout = 120_000)]
    public async Task Seek_WithoutExtents_TakesAllForData()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        Assert.Equal(7, await SeekAsync(rig, 7, FuseProtocol.SEEK_DATA));
        Assert.Equal(Length, await SeekAsync(rig, 7, FuseProtocol.SEEK_HOLE));
    }

    private static async Task<long> SeekAsync(ServerRig rig, long offset, uint whence)
    {
        if (!rig.Send(FuseOpcode.LSEEK, new FuseLseekIn { offset = (ulong)offset, whence = whence }))
            await FuseFileServerTests.WaitForReleaseAsync(rig);
        return rig.Channel.LastHeader.error != 0 ? rig.Channel.LastHeader.error : (long)rig.Channel.LastStruct<FuseLseekOut>().offset;
    }

    /// <summary>Nothing, then data, then nothing, each as long as told; listed in small steps.</summary>
    private sealed class Islands(long unit) : IExtentSource
    {
        public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
        {
            long step = Math.Min(Math.Min(length, 1000), unit - offset % unit);
            extents.Add(new Extent(offset, step, offset / unit == 1 ? ExtentKind.Data : ExtentKind.Zero));
            return ValueTask.CompletedTask;
        }
    }
}
