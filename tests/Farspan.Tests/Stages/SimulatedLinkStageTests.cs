using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class SimulatedLinkStageTests
{
    private static readonly LinkOptions Line = LinkOptions.Parse("rtt=25ms,rate=1Gbit");

    [Fact]
    public void SmallCall_TakesOneRoundTripAndItsBytes()
        => VirtualTime.Run(async clock =>
        {
            var stage = Create(clock, Line);
            await stage.FlushAsync();

            // 28 and 16 bytes at 1 Gbit/s are 352 ns: whole ticks of 100 ns each way.
            Assert.InRange(clock.Now, TimeSpan.FromMilliseconds(25), TimeSpan.FromMilliseconds(25.0004));
        });

    [Fact]
    public void ReadsAndWrites_PayForTheirBytes_InTheirDirection()
        => VirtualTime.Run(async clock =>
        {
            var stage = Create(clock, LinkOptions.Parse("rtt=10ms,up=8Mbit,down=80Mbit"));
            await stage.WriteAsync(0, new byte[100_000 - 28]);
            Assert.Equal(110, clock.Now.TotalMilliseconds, 0.01);
            var before = clock.Now;
            await stage.ReadAsync(0, new byte[100_000 - 16]);
            Assert.Equal(20 + 0.028, (clock.Now - before).TotalMilliseconds, 0.01);
        });

    [Fact]
    public void CallsAtOnce_ArePipelined_NotDelayedOneByOne()
        => VirtualTime.Run(async clock =>
        {
            var stage = Create(clock, Line);
            await Task.WhenAll(Enumerable.Range(0, 100).Select(i => stage.ReadAsync(i * 10_000L, new byte[10_000]).AsTask()));

            // One round trip, then 100 replies of 10,016 bytes one after the other: 8.0128 ms.
            Assert.Equal(25 + 8.0128, clock.Now.TotalMilliseconds, 0.05);
        });

    [Fact]
    public void BusyDirection_DelaysLaterCalls()
        => VirtualTime.Run(async clock =>
        {
            var stage = Create(clock, LinkOptions.Parse("rtt=10ms,rate=8Mbit"));
            var bulk = stage.WriteAsync(0, new byte[50_000]).AsTask();
            await stage.FlushAsync();
            Assert.Equal(60, clock.Now.TotalMilliseconds, 0.2);
            await bulk;
        });

    [Fact]
    public void Failure_TakesTheWayOfAReply()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(100));
            faults.Inject(new FaultRule());
            var stage = new SimulatedLinkStage(faults, new LinkModel(Line, clock));
            await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(0, new byte[50]));
            Assert.Equal(25, clock.Now.TotalMilliseconds, 0.01);
        });

    [Fact]
    public void Misuse_DoesNotTravel()
        => VirtualTime.Run(async clock =>
        {
            var stage = Create(clock, Line);
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await stage.ReadAsync(-1, new byte[50]));
            Assert.Equal(TimeSpan.Zero, clock.Now);
        });

    [Fact]
    public void CancelledOnTheWayUp_NeverArrives_OnTheWayDown_IsDone()
        => VirtualTime.Run(async clock =>
        {
            var record = new RecordingStage(new MemoryBackend(100));
            var stage = new SimulatedLinkStage(record, new LinkModel(Line, clock));
            using var early = new CancellationTokenSource(TimeSpan.FromMilliseconds(5), clock);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.WriteAsync(0, new byte[1], early.Token));
            Assert.Equal(5, clock.Now.TotalMilliseconds, 0.01);
            Assert.Empty(record.Calls);
            using var late = new CancellationTokenSource(TimeSpan.FromMilliseconds(20), clock);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.WriteAsync(0, new byte[1], late.Token));
            Assert.Single(record.Calls);
        });

    [Fact]
    public void TwoStagesOnOneLine_ShareItsRate()
        => VirtualTime.Run(async clock =>
        {
            var link = new LinkModel(LinkOptions.Parse("rtt=10ms,rate=8Mbit"), clock);
            var one = new SimulatedLinkStage(new MemoryBackend(1 << 20), link);
            var two = new SimulatedLinkStage(new MemoryBackend(1 << 20), link);
            await Task.WhenAll(one.WriteAsync(0, new byte[50_000]).AsTask(), two.WriteAsync(0, new byte[50_000]).AsTask());
            Assert.Equal(110, clock.Now.TotalMilliseconds, 0.2);
        });

    private static SimulatedLinkStage Create(VirtualTimeProvider clock, LinkOptions options)
        => new(new MemoryBackend(1 << 20), new LinkModel(options, clock));
}
