using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class AlignmentGuardStageTests
{
    private const int TimeLimit = 120_000;

    [Theory(Timeout = TimeLimit)]
    [InlineData(1, 512)]
    [InlineData(512, 511)]
    [InlineData(512, 513)]
    [InlineData(0, 1000)]
    [InlineData(9728, 100)]
    public async Task Unaligned_IsRefusedAsInvalid_WithTheReason(long offset, int length)
    {
        var record = new RecordingStage(new MemoryBackend(10_000));
        await using var stage = new AlignmentGuardStage(record, new BlockSizes(512, 4096, 4096));
        foreach (var call in Calls(stage, offset, length))
        {
            var error = await Assert.ThrowsAsync<BackendException>(call);
            Assert.Equal(BackendError.Invalid, error.Error);
            Assert.Contains("multiples of 512", error.Message, StringComparison.Ordinal);
            Assert.Contains($"{length} bytes at {offset}", error.Message, StringComparison.Ordinal);
        }

        Assert.False(stage.GetCapability<IMemoryLender>()?.TryLend(offset, length, out _) ?? false);
        Assert.Empty(record.Calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OverTheMaximum_IsRefusedForReadsAndWrites_NotForTrimAndZero()
    {
        await using var stage = new AlignmentGuardStage(new MemoryBackend(10_000), new BlockSizes(512, 4096, 1024));
        foreach (var call in Calls(stage, 0, 1536).Take(2))
        {
            var error = await Assert.ThrowsAsync<BackendException>(call);
            Assert.Equal(BackendError.Invalid, error.Error);
            Assert.Contains("the most at a time is 1024", error.Message, StringComparison.Ordinal);
        }

        foreach (var call in Calls(stage, 0, 1536).Skip(2))
            await call();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RangeToTheEnd_MayBeShort()
    {
        await using var stage = new AlignmentGuardStage(new MemoryBackend(10_000), new BlockSizes(512, 4096, 4096));
        foreach (var call in Calls(stage, 9728, 272))
            await call();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RangeOutside_IsMisuseFirst()
    {
        await using var stage = new AlignmentGuardStage(new MemoryBackend(10_000), new BlockSizes(512, 4096, 4096));
        foreach (var call in Calls(stage, -1, 512).Concat(Calls(stage, 10_240, 512)))
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(call);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OverTheMaximum_IsLentInPart()
    {
        await using var stage = new AlignmentGuardStage(new MemoryBackend(10_000), new BlockSizes(512, 4096, 1024));
        await stage.WriteAsync(0, new byte[1024]);
        Assert.True(stage.GetCapability<IMemoryLender>()!.TryLend(0, 2048, out var lent));
        Assert.InRange(lent.Memory.Length, 1, 1024);
        lent.Dispose();
    }

    [Theory]
    [InlineData(0, 4096, 4096)]
    [InlineData(3, 4096, 4096)]
    [InlineData(131_072, 131_072, 131_072)]
    [InlineData(512, 256, 4096)]
    [InlineData(4096, 512, 4096)]
    [InlineData(512, 4096, 0)]
    [InlineData(512, 4096, 1000)]
    public void SizesThatBreakTheRules_Throw(int minimum, int preferred, int maximum)
        => Assert.ThrowsAny<ArgumentException>(() => new AlignmentGuardStage(new MemoryBackend(1), new BlockSizes(minimum, preferred, maximum)));

    private static IEnumerable<Func<Task>> Calls(AlignmentGuardStage backend, long offset, int length)
    {
        yield return async () => await backend.ReadAsync(offset, new byte[length]);
        yield return async () => await backend.WriteAsync(offset, new byte[length]);
        yield return async () => await backend.GetCapability<ITrim>()!.TrimAsync(offset, length);
        yield return async () => await backend.GetCapability<IZero>()!.ZeroAsync(offset, length);
    }
}
