using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Stages;

/// <summary>Stages over the longest backend there can be, driven in its last megabyte.</summary>
public sealed class FarEndTests
{
    private const int Length = (1 << 20) - 1;

    public static TheoryData<string> Stages => ["arbitrary", "zero detection", "gate", "retry"];

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Stages))]
    public async Task LastBytesOfTheLongestBackend_MatchTheModel(string name)
    {
        const long Start = long.MaxValue - Length;
        var end = new ShiftedStage(new YieldingStage(new MemoryBackend(Length)), -Start, long.MaxValue);
        IBackend stage = name switch
        {
            "arbitrary" => new ArbitraryAccessStage(new AlignmentGuardStage(end, new BlockSizes(4096, 4096, 64 << 10))),
            "zero detection" => new ZeroDetectionStage(end, new ZeroDetectionOptions { MinimumRun = 4096 }),
            "gate" => new LockGateStage(end),
            _ => new RetryStage(end),
        };
        await using var window = new ShiftedStage(stage, Start, Length);
        await new BackendModelRunner(window, seed: 5).RunAsync(300);
        await window.GetCapability<IZero>()!.ZeroAsync(0, Length);
        await new BackendModelRunner(window, seed: 6).RunConcurrentAsync(workers: 4, stepsEach: 50);
    }
}
