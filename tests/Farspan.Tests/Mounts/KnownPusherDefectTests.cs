using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>What is wrong with the pusher of r3map, one test each (see <see cref="KnownPullerDefectTests"/>).</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>there</term><description>here</description></listheader>
/// <item><term>a map that many write is read without a lock</term><description>one gate guards it; any number of writers and flushes</description></item>
/// <item><term>what is written while its chunk is pushed is no longer dirty</term><description>it is dirty again and is pushed next</description></item>
/// <item><term>a sync always succeeds</term><description>a flush tells what failed</description></item>
/// <item><term>one failed push ends in a deadlock</term><description>it is tried again; a close ends in time and says what is left</description></item>
/// <item><term>errors from before somebody waits are lost</term><description>they are the next flush's, and in the status</description></item>
/// <item><term>pushes have no order</term><description>least recently written first</description></item>
/// <item><term>the remote is never synced</term><description>a flush, a sweep and a close end with its flush</description></item>
/// <item><term>no push workers: what is written is lost</term><description>there is no such setting</description></item>
/// </list>
/// </remarks>
public sealed class KnownPusherDefectTests
{
    private const int Chunk = 4096;

    [Fact(Timeout = 120_000)]
    public async Task ManyWritersAndFlushes_AtOnce_LoseNothing()
    {
        var remote = new KeptBackend(new MemoryBackend(64 * Chunk));
        await using (var mount = await ManagedBackend.OpenAsync(
            remote, new ManagedMountOptions { ChunkSize = Chunk, PushInterval = TimeSpan.FromMilliseconds(10), DirtySoftLimit = 4 * Chunk }))
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
            {
                byte[] bytes = new byte[100];
                for (int i = 0; i < 400; i++)
                {
                    bytes.AsSpan().Fill((byte)i);
                    await mount.WriteAsync((i % 64 * Chunk) + (writer * 100), bytes);
                    if (i % 20 == writer)
                        await mount.FlushAsync();
                }
            })));
        }

        byte[] found = new byte[800];
        for (int chunk = 0; chunk < 64; chunk++)
        {
            await remote.ReadAsync(chunk * Chunk, found);
            int last = chunk + (chunk < 400 % 64 ? 384 : 320);
            Assert.Equal(-1, found.AsSpan().IndexOfAnyExcept((byte)last));
        }
    }

    [Fact]
    public void WriteDuringThePushOfItsChunk_StaysDirty_AndGoesNext()
        => VirtualTime.Run(async clock =>
        {
            var store = new MemoryBackend(Chunk);
            var faults = new FaultInjectionStage(store);
            await using var mount = await OpenAsync(faults, clock);
            await mount.FlushAsync();
            var stall = faults.Inject(new FaultRule { Kind = FaultKind.StalledReply, Operations = BackendOperation.Write, Count = 1 });
            await mount.WriteAsync(0, new byte[] { 1, 1, 1 });
            var flush = mount.FlushAsync().AsTask();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.False(flush.IsCompleted);
            await mount.WriteAsync(1, new byte[] { 2 });
            stall.Dispose();
            await flush;
            Assert.Equal(1, mount.Status.DirtyBytes);
            await mount.FlushAsync();
            byte[] there = new byte[3];
            await store.ReadAsync(0, there);
            Assert.Equal([1, 2, 1], there);
            Assert.Equal(0, mount.Status.DirtyBytes);
        });

    [Theory]
    [InlineData(BackendOperation.Write)]
    [InlineData(BackendOperation.Flush)]
    public void WhatCannotBePushed_FailsTheFlush_AndIsPushedByTheNext(BackendOperation operation)
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(Chunk));
            await using var mount = await OpenAsync(faults, clock);
            await mount.FlushAsync();
            await mount.WriteAsync(0, new byte[10]);
            var fault = faults.Inject(new FaultRule { Operations = operation, Error = BackendError.InputOutput, IsTransient = false });
            for (int i = 0; i < 2; i++)
                Assert.Equal(BackendError.InputOutput, (await Assert.ThrowsAsync<BackendException>(async () => await mount.FlushAsync())).Error);
            Assert.Equal(10, mount.Status.DirtyBytes);
            Assert.NotNull(mount.Status.LastError);
            fault.Dispose();
            await mount.FlushAsync();
            Assert.Equal(0, mount.Status.DirtyBytes);
        });

    /// <summary>Else a flush of what was written completes, and neither that nor what replaced it is at the remote.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ChangeThatReplacesAnUnpushedOne_IsWhatTheFlushOfThatWaitsFor(bool isZeroedFirst)
        => VirtualTime.Run(async clock =>
        {
            var store = new MemoryBackend(Chunk);
            await store.WriteAsync(0, Enumerable.Repeat((byte)9, Chunk).ToArray());
            var faults = new FaultInjectionStage(store);
            await using var mount = await OpenAsync(faults, clock);
            await mount.FlushAsync();
            var cut = faults.Inject(new FaultRule
            {
                Operations = BackendOperation.Write | BackendOperation.Zero | BackendOperation.Trim, Error = BackendError.Disconnected, IsTransient = true,
            });
            await ChangeAsync(isZeroedFirst);
            var flush = mount.FlushAsync().AsTask();
            await Task.Delay(TimeSpan.FromSeconds(2), clock);
            await ChangeAsync(!isZeroedFirst);
            await Task.Delay(TimeSpan.FromSeconds(2), clock);
            Assert.False(flush.IsCompleted);
            cut.Dispose();
            await flush;
            byte[] there = new byte[Chunk];
            await store.ReadAsync(0, there);
            Assert.DoesNotContain((byte)9, there);

            ValueTask ChangeAsync(bool zeroes) => zeroes ? mount.ZeroAsync(0, Chunk) : mount.WriteAsync(0, Enumerable.Repeat((byte)1, Chunk).ToArray());
        });

    [Fact]
    public void ManyFailedPushes_DoNotHoldUpTheClose_WhichSaysWhatIsLeft()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(64 * Chunk));
            var mount = await OpenAsync(faults, clock);
            await mount.FlushAsync();
            faults.Inject(new FaultRule { Operations = BackendOperation.Write, Error = BackendError.InputOutput, IsTransient = false });
            for (int chunk = 0; chunk < 64; chunk += 2)
                await mount.WriteAsync(chunk * Chunk, new byte[10]);
            await Task.Delay(TimeSpan.FromMinutes(1), clock);
            var begun = clock.Now;
            var report = await mount.CloseAsync();
            Assert.Equal(320, report.UnpushedBytes);
            Assert.IsType<BackendException>(report.Error);
            Assert.InRange((clock.Now - begun).TotalSeconds, 0, 10);
        });

    [Fact]
    public void ErrorFromBeforeAnybodyAsked_IsInTheStatus()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(Chunk));
            faults.Inject(new FaultRule { Operations = BackendOperation.Flush, Count = 1, IsTransient = false });
            await using var mount = await OpenAsync(faults, clock);
            await Task.Delay(TimeSpan.FromSeconds(20), clock);
            Assert.IsType<BackendException>(mount.Status.LastError);
        });

    [Fact]
    public void Sweep_SendsWhatWasWrittenLeastRecently_First_AndFlushesTheRemote()
        => VirtualTime.Run(async clock =>
        {
            var calls = new List<(BackendOperation Operation, long Offset)>();
            var faults = new FaultInjectionStage(new MemoryBackend(64 * Chunk));
            await using var mount = await OpenAsync(faults, clock, new() { BackgroundPull = BackgroundPull.Nothing });
            await mount.FlushAsync();
            faults.Inject(new FaultRule
            {
                Count = 0,
                Where = (operation, offset, _) =>
                {
                    calls.Add((operation, offset / Chunk));
                    return true;
                },
            });
            foreach (int chunk in new[] { 40, 10, 20, 40 })
                await mount.WriteAsync(chunk * Chunk, new byte[10]);
            await Task.Delay(TimeSpan.FromSeconds(11), clock);
            Assert.Equal([(BackendOperation.Write, 10), (BackendOperation.Write, 20), (BackendOperation.Write, 40), (BackendOperation.Flush, 0)], calls);
            Assert.Equal(0, mount.Status.DirtyBytes);
        });

    private static ValueTask<ManagedBackend> OpenAsync(IBackend remote, TimeProvider clock, ManagedMountOptions? options = null)
        => ManagedBackend.OpenAsync(remote, (options ?? new()) with { Clock = clock, ChunkSize = Chunk });
}
