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
