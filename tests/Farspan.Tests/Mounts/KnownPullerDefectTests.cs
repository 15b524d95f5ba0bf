using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>
/// What is wrong with the puller of r3map, the Go library whose ideas this project follows, one test each (its other parts: <see cref="KnownPusherDefectTests"/>,
/// <see cref="KnownSyncedStageDefectTests"/>).
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>there</term><description>here</description></listheader>
/// <item><term>the callback gets a chunk's number for its offset</term><description>offset and length in bytes</description></item>
/// <item><term>chunks of one priority come in any order</term><description>in rising order (also <see cref="PullOrderTests"/>)</description></item>
/// <item><term>the last chunk is not pulled before the end</term><description>it is, like any other</description></item>
/// <item><term>a region shorter than a chunk panics</term><description>it is one chunk</description></item>
/// <item><term>the first error ends a worker, nothing is tried again</term><description>what failed has another turn</description></item>
/// <item><term>two failed workers make the close hang</term><description>the close ends in time</description></item>
/// <item><term>a reader waits until it is its chunk's turn</term><description>its chunk comes at once</description></item>
/// <item><term>0 workers mean off, less means 512</term><description>off has a name, anything below 1 is refused</description></item>
/// <item><term>progress is told only where pushing is on</term><description>of a read-only mount too</description></item>
/// </list>
/// </remarks>
public sealed class KnownPullerDefectTests
{
    private const int Chunk = 4096;

    [Theory]
    [InlineData(1)]
    [InlineData(Chunk - 1)]
    [InlineData(Chunk)]
    [InlineData((5 * Chunk) + 1)]
    public void AnyLength_IsPulledToItsLastByte(int length)
        => VirtualTime.Run(async clock =>
        {
            byte[] content = new byte[length];
            new Random(length).NextBytes(content);
            var remote = new MemoryBackend(length);
            await remote.WriteAsync(0, content);
            var faults = new FaultInjectionStage(remote);
            await using var mount = await OpenAsync(faults, clock);
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.Equal(length, mount.Status.LocalBytes);
            faults.Inject(new FaultRule { Operations = BackendOperation.Read, Error = BackendError.Disconnected });
            byte[] found = new byte[length];
            await mount.ReadAsync(0, found);
            Assert.Equal(content, found);
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BecameLocal_IsTold_InBytes_EachOnce_ReadOnlyToo(bool isReadOnly)
        => VirtualTime.Run(async clock =>
        {
            var told = new List<(long Offset, long Length)>();
            var remote = new MemoryBackend((9 * Chunk) + 5);
            await using var mount = await OpenAsync(
                isReadOnly ? new ReadOnlyStage(remote) : (IBackend)remote, clock, new() { Hooks = new() { BecameLocal = (offset, length) => told.Add((offset, length)) } });
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            long end = 0;
            foreach (var (offset, length) in told.OrderBy(run => run.Offset))
            {
                Assert.Equal(end, offset);
                end += length;
            }

            Assert.Equal(remote.Length, end);
        });

    [Fact]
    public void SamePriority_IsPulledInRisingOrder()
        => VirtualTime.Run(async clock =>
        {
            var told = new List<long>();
            await using var mount = await OpenAsync(new MemoryBackend(64 * Chunk), clock, new()
            {
                PullOrder = PullOrder.ByPriority(chunk => chunk % 2),
                PullWorkers = 1,
                Hooks = new() { BecameLocal = (offset, _) => told.Add(offset / Chunk) },
            });
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.Equal([.. Enumerable.Range(0, 32).Select(i => (2L * i) + 1), .. Enumerable.Range(0, 32).Select(i => 2L * i)], told);
        });

    [Fact]
    public void FailedPulls_HaveAnotherTurn()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(64 * Chunk));
            faults.Inject(new FaultRule { Operations = BackendOperation.Read, Probability = 0.5, Count = 60, IsTransient = false });
            await using var mount = await OpenAsync(faults, clock);
            await Task.Delay(TimeSpan.FromMinutes(30), clock);
            Assert.Equal(mount.Length, mount.Status.LocalBytes);
        });

    [Theory]
    [InlineData(FaultKind.Error)]
    [InlineData(FaultKind.Stall)]
    public void ManyPullsThatFailOrStall_DoNotHoldUpTheClose(FaultKind kind)
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(4096 * Chunk));
            var mount = await OpenAsync(faults, clock, new() { PullWorkers = 50 });
            await mount.FlushAsync();
            faults.Inject(new FaultRule { Kind = kind, Operations = BackendOperation.Read, Error = BackendError.Disconnected });
            var reader = mount.ReadAsync(4000 * Chunk, new byte[100]).AsTask();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            var begun = clock.Now;
            Assert.True((await mount.CloseAsync()).IsComplete);
            Assert.InRange((clock.Now - begun).TotalSeconds, 0, 6);
            if (!reader.IsCompletedSuccessfully)
                await Assert.ThrowsAsync<BackendException>(() => reader);
        });

    [Fact]
    public void Reader_OvertakesTheBackground()
        => VirtualTime.Run(async clock =>
        {
            // All of it takes 82 s.
            var line = new LinkModel(new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(10), UpRate = 8_000_000, DownRate = 8_000_000 }, clock);
            await using var mount = await OpenAsync(new SimulatedLinkStage(new MemoryBackend(20_000L * Chunk), line), clock);
            await Task.Delay(TimeSpan.FromSeconds(5), clock);
            var begun = clock.Now;
            await mount.ReadAsync(19_990L * Chunk, new byte[Chunk]);
            Assert.InRange((clock.Now - begun).TotalSeconds, 0, 0.2);
        });

    [Theory(Timeout = 60_000)]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task WorkersBelowOne_AreRefused(int workers)
        => await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            async () => await ManagedBackend.OpenAsync(new MemoryBackend(Chunk), new ManagedMountOptions { PullWorkers = workers }));

    private static ValueTask<ManagedBackend> OpenAsync(IBackend remote, TimeProvider clock, ManagedMountOptions? options = null)
        => ManagedBackend.OpenAsync(remote, (options ?? new()) with { Clock = clock, ChunkSize = Chunk });
}
