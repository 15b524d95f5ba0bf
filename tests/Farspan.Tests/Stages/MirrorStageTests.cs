using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class MirrorStageTests
{
    private const int Length = 100_000;

    [Fact]
    public async Task WhatASecondStoreRefuses_GoesThereWithTheNextFlush()
    {
        await using var mirror = new FaultInjectionStage(new MemoryBackend(Length));
        await using var stage = Open(new MemoryBackend(Length));
        stage.Begin(mirror, isSame: true);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        byte[] bytes = Random();
        await stage.WriteAsync(5, bytes.AsMemory(5));
        mirror.Inject(new FaultRule { Kind = FaultKind.Error, Operations = BackendOperation.Write, Count = 1 });
        await Assert.ThrowsAsync<BackendException>(() => stage.FlushAsync().AsTask());
        await stage.FlushAsync();
        bytes.AsSpan(0, 5).Clear();
        Assert.Equal(bytes, await ReadAsync(mirror));
    }

    [Fact]
    public async Task ASecondStoreThatHoldsSomethingElse_IsBroughtInLine_AndFlushesWaitForIt()
    {
        await using var mirror = new MemoryBackend(Length);
        await mirror.WriteAsync(0, Random());
        var store = new MemoryBackend(Length);
        byte[] bytes = Random();
        await store.WriteAsync(0, bytes);
        await using var stage = Open(store);
        var flush = stage.FlushAsync();
        Assert.False(flush.IsCompleted);
        await stage.WriteAsync(0, new byte[10]);
        stage.Begin(mirror, isSame: false);
        await flush;
        await stage.FlushAsync();
        bytes.AsSpan(0, 10).Clear();
        Assert.True(stage.IsInLine);
        Assert.Equal(bytes, await ReadAsync(mirror));
    }

    [Fact]
    public async Task ASecondStoreOfAnotherLength_IsRefused()
    {
        await using var mirror = new MemoryBackend(Length - 1);
        await using var stage = Open(new MemoryBackend(Length));
        Assert.Equal(BackendError.Invalid, Assert.Throws<BackendException>(() => stage.Begin(mirror, isSame: false)).Error);
    }

    [Fact]
    public async Task AFlushThatWaits_EndsWithTheStage()
    {
        var stage = Open(new MemoryBackend(Length));
        var flush = stage.FlushAsync().AsTask();
        await stage.DisposeAsync();
        Assert.Equal(BackendError.ShuttingDown, (await Assert.ThrowsAsync<BackendException>(() => flush)).Error);
    }

    [Fact(Timeout = 60_000)]
    public async Task WhatIsWrittenDuringAFlush_GoesToTheSecondStoreWithTheNextOne()
    {
        await using var mirror = new MemoryBackend(Length);
        var store = new HookedBackend(Length);
        await using var stage = Open(store);
        stage.Begin(mirror, isSame: true);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.WriteAsync(0, new byte[] { 1 });
        store.Flushing = () => stage.WriteAsync(50_000, new byte[] { 2 });
        await stage.FlushAsync();
        Assert.Equal((1, 0), await PairAsync(mirror));
        store.Flushing = null;
        await stage.FlushAsync();
        Assert.Equal((1, 2), await PairAsync(mirror));
    }

    [Fact(Timeout = 60_000)]
    public async Task AFlush_EndsWithOneOfTheSecondStore()
    {
        bool isWritten = false, isFlushed = false;
        var mirror = new HookedBackend(Length) { Writing = () => isWritten = true };
        mirror.Flushing = () =>
        {
            isFlushed = isWritten;
            return default;
        };
        await using var stage = Open(new MemoryBackend(Length));
        stage.Begin(mirror, isSame: true);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.WriteAsync(0, new byte[] { 1 });
        await stage.FlushAsync();
        Assert.True(isFlushed);
        await mirror.DisposeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task WhatIsFoundToDiffer_IsDurableHereBeforeItGoesToTheSecondStore()
    {
        var store = new HookedBackend(Length);
        bool isFlushed = false;
        store.Flushing = () =>
        {
            isFlushed = true;
            return default;
        };
        var mirror = new HookedBackend(Length) { Writing = () => Assert.True(isFlushed) };
        await using var stage = Open(store);
        await stage.WriteAsync(0, new byte[] { 1 });
        stage.Begin(mirror, isSame: false);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        Assert.Equal((1, 0), await PairAsync(mirror));
        Assert.True(isFlushed);
        await mirror.DisposeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task AFlushThatIsCancelled_LeavesNoWriteThatCoversALaterOne()
    {
        var mirror = new HookedBackend(Length) { IsHeld = true };
        await using var stage = Open(new MemoryBackend(Length));
        stage.Begin(mirror, isSame: true);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.WriteAsync(0, new byte[] { 1 });
        using var patience = new CancellationTokenSource();
        var flush = stage.FlushAsync(patience.Token).AsTask();
        await Eventually.HoldsAsync(() => mirror.HeldWrites == 1);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flush);
        await stage.WriteAsync(0, new byte[] { 2 });
        flush = stage.FlushAsync().AsTask();
        Assert.Equal(1, mirror.HeldWrites);
        mirror.Free();
        await flush;
        await mirror.ReleaseAsync();
        Assert.Equal((2, 0), await PairAsync(mirror));
        await mirror.DisposeAsync();
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task ASecondStoreThatSomebodyElseHad_IsGotAgain_AndCompared(int attempts)
    {
        await using var mirror = new MemoryBackend(Length);
        await using var lost = new FaultInjectionStage(new MemoryBackend(Length));
        lost.Inject(new FaultRule { Kind = FaultKind.Error, Operations = BackendOperation.Write, Error = BackendError.Fenced });
        await mirror.WriteAsync(50_000, new byte[] { 9 });
        await using var stage = Open(new MemoryBackend(Length));
        int asked = 0;
        stage.Begin(lost, isSame: true, _ => ++asked < attempts ? throw new BackendException(BackendError.Disconnected, "Nobody answers.", isTransient: true) : new(mirror));
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.WriteAsync(0, new byte[] { 1 });
        await stage.FlushAsync();
        Assert.Equal((1, 0), await PairAsync(mirror));
        Assert.Equal(attempts, asked);
    }

    [Fact(Timeout = 60_000)]
    public async Task ASecondStoreThatSomebodyElseHasNow_FailsFlushes_UntilItIsFree()
    {
        await using var mirror = new MemoryBackend(Length);
        await using var lost = new FaultInjectionStage(new MemoryBackend(Length));
        lost.Inject(new FaultRule { Kind = FaultKind.Error, Operations = BackendOperation.Write, Error = BackendError.Fenced });
        await using var stage = Open(new MemoryBackend(Length));
        bool isFree = false;
        stage.Begin(lost, isSame: true, _ => Volatile.Read(ref isFree) ? new(mirror) : throw new BackendException(BackendError.Leased, "Somebody else has it."));
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.WriteAsync(0, new byte[] { 1 });
        Assert.Equal(BackendError.Leased, (await Assert.ThrowsAsync<BackendException>(() => stage.FlushAsync().AsTask())).Error);
        Assert.False(stage.IsInLine);
        Volatile.Write(ref isFree, true);
        await Eventually.HoldsAsync(() => stage.IsInLine);
        await stage.FlushAsync();
        Assert.Equal((1, 0), await PairAsync(mirror));
    }

    private static async Task<(int, int)> PairAsync(IBackend backend)
    {
        byte[] bytes = await ReadAsync(backend);
        return (bytes[0], bytes[50_000]);
    }

    private static MirrorStage Open(IBackend store) => new(store, 4096, TimeProvider.System, TimeSpan.FromMilliseconds(20));

    private static byte[] Random()
    {
        byte[] bytes = new byte[Length];
        System.Random.Shared.NextBytes(bytes);
        return bytes;
    }

    private static async Task<byte[]> ReadAsync(IBackend backend)
    {
        byte[] bytes = new byte[Length];
        await backend.ReadAsync(0, bytes);
        return bytes;
    }
}
