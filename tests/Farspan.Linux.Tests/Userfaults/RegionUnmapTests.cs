using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What is unmapped in the middle of a region is a place that other tests' memory may be given, and that goes with the region.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class RegionUnmapTests
{
    private const int Chunk = 16 << 10;

    [RequiresFact("userfault")]
    public async Task EventsOfDropsAndUnmaps_AreReadAndHeeded()
    {
        await using var world = new RegionWorld(
            1 << 20, features: UserfaultFeatures.EVENT_REMOVE | UserfaultFeatures.EVENT_UNMAP | UserfaultFeatures.EVENT_REMAP);
        for (long offset = 0; offset < world.Length; offset += Chunk)
            Assert.Equal(world.Byte(offset), world.Touch(offset));
        Assert.Equal(0, Libc.Advise((nint)world.Memory.Address, 4 * Chunk, Libc.MADV_DONTNEED));
        await Eventually.HoldsAsync(() => world.Service.ResidentBytes == (1 << 20) - (4 * Chunk));
        Assert.Equal(world.Byte(Chunk), world.Touch(Chunk));

        // The last chunk goes for good; its place is not used by anything here.
        Assert.Equal(0, Libc.Unmap((nint)world.Memory.Address + (1 << 20) - Chunk, Chunk));
        await Eventually.HoldsAsync(async () => await Record.ExceptionAsync(() => TakeLastAsync(world.Service)) is BackendException);
        Assert.Equal(world.Byte(8 * Chunk), world.Touch(8 * Chunk));
    }

    private static async Task TakeLastAsync(RegionService service)
    {
        await service.AcquireAsync((1 << 20) - 1, 1, RegionUse.Reading, default);
        service.Release((1 << 20) - 1, 1, RegionUse.Reading);
    }
}
