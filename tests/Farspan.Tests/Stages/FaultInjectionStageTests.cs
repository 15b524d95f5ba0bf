using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class FaultInjectionStageTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task Error_FailsBeforeAnythingIsDone_WithWhatTheRuleSays()
    {
        var record = new RecordingStage(new MemoryBackend(100));
        await using var stage = new FaultInjectionStage(record);
        using var fault = stage.Inject(new FaultRule { Operations = BackendOperation.Write, Error = BackendError.NoSpace, IsTransient = true });
        var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(3, new byte[5]));
        Assert.Equal(BackendError.NoSpace, error.Error);
        Assert.True(error.IsTransient);
        Assert.Contains("Writing 5 bytes at 3", error.Message, StringComparison.Ordinal);
        Assert.Empty(record.Calls);
        await stage.ReadAsync(0, new byte[1]);
        Assert.Equal(1, fault.Hits);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Short_DoesHalf_ThenFails()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        using (stage.Inject(new FaultRule { Kind = FaultKind.Short }))
            await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(10, new byte[] { 1, 2, 3, 4 }));
        byte[] actual = new byte[6];
        await stage.ReadAsync(9, actual);
        Assert.Equal([0, 1, 2, 0, 0, 0], actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LostReply_DoesAll_ThenFails()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        using (stage.Inject(new FaultRule { Kind = FaultKind.LostReply, Error = BackendError.Disconnected }))
            Assert.True((await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(10, new byte[] { 1, 2 }))).IsTransient);
        byte[] actual = new byte[2];
        await stage.ReadAsync(10, actual);
        Assert.Equal([1, 2], actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Stall_WaitsUntilReleasedOrCancelled()
    {
        var record = new RecordingStage(new MemoryBackend(100));
        await using var stage = new FaultInjectionStage(record);
        using var fault = stage.Inject(new FaultRule { Kind = FaultKind.Stall });
        using var source = new CancellationTokenSource();
        var cancelled = stage.WriteAsync(0, new byte[1], source.Token).AsTask();
        var released = stage.WriteAsync(1, new byte[1]).AsTask();
        await fault.WaitForHitsAsync(2);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Empty(record.Calls);
        fault.Release();
        await released;
        Assert.Single(record.Calls);
        var again = stage.FlushAsync().AsTask();
        Assert.False(again.IsCompleted);
        fault.Dispose();
        await again;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task StalledReply_IsDoneBelow()
    {
        var record = new RecordingStage(new MemoryBackend(100));
        await using var stage = new FaultInjectionStage(record);
        using var fault = stage.Inject(new FaultRule { Kind = FaultKind.StalledReply });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        Assert.Single(record.Calls);
        Assert.False(write.IsCompleted);
        fault.Release();
        await write;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Disposed_FailsWhatStalls()
    {
        var stage = new FaultInjectionStage(new MemoryBackend(100));
        stage.Inject(new FaultRule { Kind = FaultKind.Stall });
        var read = stage.ReadAsync(0, new byte[1]).AsTask();
        await stage.DisposeAsync();
        Assert.Equal(BackendError.ShuttingDown, (await Assert.ThrowsAsync<BackendException>(() => read)).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SkipCountAndWhere_ChooseTheCalls()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        using var fault = stage.Inject(new FaultRule
        {
            Operations = BackendOperation.Read | BackendOperation.Write,
            Where = (operation, offset, length) => operation == BackendOperation.Read && offset == 7 && length == 1,
            Skip = 2,
            Count = 3,
        });
        var failed = new List<int>();
        for (int i = 0; i < 8; i++)
        {
            await stage.ReadAsync(6, new byte[1]);
            await stage.WriteAsync(7, new byte[1]);
            if (await Record.ExceptionAsync(async () => await stage.ReadAsync(7, new byte[1])) is BackendException)
                failed.Add(i);
        }

        Assert.Equal([2, 3, 4], failed);
        Assert.Equal(3, fault.Hits);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FirstRuleThatIsMet_Decides()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        using var first = stage.Inject(new FaultRule { Operations = BackendOperation.Write, Error = BackendError.NoSpace });
        using var second = stage.Inject(new FaultRule { Error = BackendError.Corrupt });
        Assert.Equal(BackendError.NoSpace, (await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, new byte[1]))).Error);
        Assert.Equal(BackendError.Corrupt, (await Assert.ThrowsAsync<BackendException>(async () => await stage.FlushAsync())).Error);
        first.Dispose();
        Assert.Equal(BackendError.Corrupt, (await Assert.ThrowsAsync<BackendException>(async () => await stage.WriteAsync(0, new byte[1]))).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Probability_DrawsTheSameForTheSameSeed()
    {
        var one = await DrawAsync(seed: 5);
        var other = await DrawAsync(seed: 6);
        Assert.Equal(one, await DrawAsync(seed: 5));
        Assert.NotEqual(one, other);
        Assert.InRange(one.Count(failed => failed), 20, 80);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Misuse_DoesNotCount()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        using var fault = stage.Inject(new FaultRule());
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await stage.ReadAsync(100, new byte[1]));
        Assert.Equal(0, fault.Hits);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RulesOutOfBounds_Throw()
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100));
        foreach (var rule in new FaultRule[]
            { new() { Skip = -1 }, new() { Count = -1 }, new() { Probability = -0.1 }, new() { Probability = 1.1 }, new() { Probability = double.NaN } })
            Assert.Throws<ArgumentOutOfRangeException>(() => stage.Inject(rule));
    }

    private static async Task<List<bool>> DrawAsync(int seed)
    {
        await using var stage = new FaultInjectionStage(new MemoryBackend(100), seed);
        stage.Inject(new FaultRule { Probability = 0.5 });
        var draws = new List<bool>();
        for (int i = 0; i < 100; i++)
            draws.Add(await Record.ExceptionAsync(async () => await stage.FlushAsync()) is BackendException);
        return draws;
    }
}
