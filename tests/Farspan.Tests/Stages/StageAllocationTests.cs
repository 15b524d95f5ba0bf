using System.Diagnostics;
using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

/// <summary>A stage over a backend that answers at once allocates nothing: measured on the calling thread, after a first round.</summary>
public sealed class StageAllocationTests
{
    private const int Length = 1 << 20;

    public static TheoryData<string> Stages =>
    [
        "alignment guard", "read-only", "tracking", "tracking with a session", "lock gate", "fault injection", "retry", "zero detection",
        "arbitrary access", "checksum", "memory",
    ];

    [Theory]
    [MemberData(nameof(Stages))]
    public void WholeChunks_AllocateNothing(string stage) => AssertNoAllocation(stage, offset: 65_536, length: 8192);

    [Theory]
    [InlineData("arbitrary access")]
    [InlineData("checksum")]
    [InlineData("tracking with a session")]
    [InlineData("zero detection")]
    public void PartsOfChunks_AllocateNothing(string stage) => AssertNoAllocation(stage, offset: 65_000, length: 20_000);

    private static void AssertNoAllocation(string name, long offset, int length)
    {
        var stage = Create(name);
        byte[] buffer = new byte[length];
        new Random(1).NextBytes(buffer);

        // Code that is not optimised yet boxes here and there, also in the runtime's own methods: the steady state is what counts.
        var patience = Stopwatch.StartNew();
        long allocated;
        do
        {
            Thread.Sleep(20);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
                Run(stage, offset, buffer);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        while (allocated != 0 && patience.Elapsed < TimeSpan.FromSeconds(20));
        Assert.Equal(0, allocated);
    }

    private static void Run(IBackend stage, long offset, byte[] buffer)
    {
        Complete(stage.ReadAsync(offset, buffer));
        if (!stage.IsReadOnly)
        {
            Complete(stage.WriteAsync(offset, buffer));
            if (stage.GetCapability<ITrim>() is { } trim)
                Complete(trim.TrimAsync(offset, buffer.Length));
        }

        Complete(stage.FlushAsync());
        if (stage.GetCapability<IMemoryLender>() is { } lender && lender.TryLend(0, 512, out var lent))
            lent.Dispose();
    }

    private static void Complete(ValueTask call)
    {
        Assert.True(call.IsCompletedSuccessfully, "The call did not complete at once.");
        call.GetAwaiter().GetResult();
    }

    private static IBackend Create(string name)
    {
        var memory = new MemoryBackend(Length);
        Complete(memory.WriteAsync(0, new byte[Length]));
        switch (name)
        {
            case "memory":
                return memory;
            case "alignment guard":
                return new AlignmentGuardStage(memory, new BlockSizes(512, 4096, 1 << 20));
            case "read-only":
                return new ReadOnlyStage(memory);
            case "tracking":
                return new TrackingStage(memory);
            case "tracking with a session":
                var tracking = new TrackingStage(memory, 4096);
                tracking.BeginTracking();
                return tracking;
            case "lock gate":
                return new LockGateStage(memory);
            case "fault injection":
                return new FaultInjectionStage(memory);
            case "retry":
                return new RetryStage(memory);
            case "zero detection":
                return new ZeroDetectionStage(memory);
            case "arbitrary access":
                return new ArbitraryAccessStage(memory, new ArbitraryAccessOptions { ChunkSize = 4096 });
            default:
                var opening = ChecksumStage.OpenAsync(memory, new ChecksumOptions { ChunkSize = 4096 });
                Assert.True(opening.IsCompletedSuccessfully);
                return opening.Result;
        }
    }
}
