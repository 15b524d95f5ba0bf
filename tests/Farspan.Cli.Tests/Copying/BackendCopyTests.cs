using Farspan.Backends;
using Farspan.Cli.Copying;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Cli.Tests.Copying;

public sealed class BackendCopyTests
{
    [Fact(Timeout = 120_000)]
    public Task AnySourceAndDestination_DestinationBeginsWithTheSource()
    {
        Prop.ForAll<int, bool, bool>((seed, sparse, onlyChanges) =>
        {
            var random = new Random(seed);
            byte[] expected = SparseBytes(random, random.Next(1, 400_000));
            int extra = random.Next(0, 5000);
            var options = new CopyOptions { RequestSize = 4096 << random.Next(0, 6), RequestsInFlight = random.Next(1, 9), Sparse = sparse, OnlyChanges = onlyChanges };
            RunAsync(random, expected, extra, options).GetAwaiter().GetResult();
        }).QuickCheckThrowOnFailure();
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task OnlyChanges_WritesNothingThatIsEqual()
    {
        await using var source = await MemoryAsync(SparseBytes(new Random(7), 1 << 20), 1 << 20);
        await using var destination = await MemoryAsync(SparseBytes(new Random(7), 1 << 20), 1 << 20);
        await destination.WriteAsync(500_000, new byte[] { 1, 2, 3 });
        var copy = new BackendCopy(source, destination, new CopyOptions { RequestSize = 64 << 10, OnlyChanges = true, Sparse = false });
        await copy.RunAsync(CancellationToken.None);
        Assert.Equal(64 << 10, copy.Progress.Written);
        Assert.Null(await copy.VerifyAsync(new CopyProgress(), CancellationToken.None));
    }

    [Fact(Timeout = 120_000)]
    public async Task Verify_FindsTheFirstDifference()
    {
        await using var source = new MemoryBackend(1 << 20);
        await using var destination = new MemoryBackend(1 << 20);
        await destination.WriteAsync(900_000, new byte[] { 1 });
        await destination.WriteAsync(700_001, new byte[] { 1 });
        var copy = new BackendCopy(source, destination, new CopyOptions { RequestSize = 4096 });
        Assert.Equal(700_001, await copy.VerifyAsync(new CopyProgress(), CancellationToken.None));
    }

    [Fact(Timeout = 120_000)]
    public async Task NewDestination_ZeroesAreNotSent()
    {
        await using var source = new MemoryBackend(64 << 20);
        await source.WriteAsync(10_000_000, new byte[] { 1 });
        await using var destination = new MemoryBackend(64 << 20);
        var copy = new BackendCopy(source, destination, new CopyOptions());
        await copy.RunAsync(CancellationToken.None);
        Assert.InRange(copy.Progress.Written, 1, 1 << 20);
        Assert.Equal(64 << 20, copy.Progress.Done);
        Assert.Equal(64 << 20, copy.Progress.CompleteUpTo);
    }

    [Fact(Timeout = 120_000)]
    public async Task SourceFails_FirstFailureIsThrown()
    {
        await using var source = new MemoryBackend(8 << 20);
        await using var destination = new MemoryBackend(8 << 20);
        await using var failing = new Farspan.Stages.FaultInjectionStage(source);
        using var rule = failing.Inject(new Farspan.Stages.FaultRule { Error = BackendError.InputOutput });
        var copy = new BackendCopy(failing, destination, new CopyOptions { Sparse = false });
        var error = await Assert.ThrowsAsync<BackendException>(() => copy.RunAsync(CancellationToken.None));
        Assert.Equal(BackendError.InputOutput, error.Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task Cancelled_Stops()
    {
        await using var source = new MemoryBackend(8 << 20);
        await using var destination = new MemoryBackend(8 << 20);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new BackendCopy(source, destination, new CopyOptions { Sparse = false }).RunAsync(new CancellationToken(canceled: true)));
    }

    private static async Task RunAsync(Random random, byte[] expected, int extra, CopyOptions options)
    {
        byte[] old = SparseBytes(random, expected.Length + extra);
        await using var source = await MemoryAsync(expected, expected.Length);
        await using var destination = await MemoryAsync(old, old.Length);
        await new BackendCopy(source, destination, options).RunAsync(CancellationToken.None);
        byte[] now = new byte[old.Length];
        await destination.ReadAsync(0, now);
        Assert.True(now.AsSpan(0, expected.Length).SequenceEqual(expected));
        Assert.True(now.AsSpan(expected.Length).SequenceEqual(old.AsSpan(expected.Length)));
    }

    private static byte[] SparseBytes(Random random, int length)
    {
        byte[] bytes = new byte[length];
        for (int i = random.Next(0, 4); i > 0; i--)
        {
            int start = random.Next(length);
            random.NextBytes(bytes.AsSpan(start, random.Next(0, length - start)));
        }

        return bytes;
    }

    private static async Task<MemoryBackend> MemoryAsync(byte[] bytes, int length)
    {
        var memory = new MemoryBackend(length);
        for (int at = 0; at < bytes.Length; at += 4096)
        {
            var block = bytes.AsMemory(at, Math.Min(4096, bytes.Length - at));
            if (block.Span.ContainsAnyExcept((byte)0))
                await memory.WriteAsync(at, block);
        }

        return memory;
    }
}
