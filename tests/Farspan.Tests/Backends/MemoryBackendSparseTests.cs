using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Backends;

/// <summary>What <see cref="MemoryBackend"/> promises beyond the contract: size, sparseness, giving back, and costing nothing.</summary>
public sealed class MemoryBackendSparseTests
{
    private const long OneTebibyte = 1L << 40;

    [Fact(Timeout = 120_000)]
    public async Task OneRangeOfManyGibibytes_IsTrimmedZeroedAndListedWhole()
    {
        const long Start = (1L << 30) + 1;
        const long End = OneTebibyte - 1;
        await using var backend = new MemoryBackend(OneTebibyte);
        long[] inside = [Start, (5L << 30) + 7, (3L << 32) - 1, End - 1];
        foreach (bool trim in new[] { true, false })
        {
            foreach (long offset in inside.Append(Start - 1).Append(End))
                await backend.WriteAsync(offset, new byte[] { 1 });
            if (trim)
                await backend.TrimAsync(Start, End - Start);
            else
                await backend.ZeroAsync(Start, End - Start);
            byte[] actual = new byte[1];
            foreach (long offset in inside)
            {
                await backend.ReadAsync(offset, actual);

                // A trim keeps the bytes of pages that the range covers in part.
                Assert.Equal(trim && (offset == Start || offset == End - 1) ? 1 : 0, actual[0]);
            }

            foreach (long offset in new[] { Start - 1, End })
            {
                await backend.ReadAsync(offset, actual);
                Assert.Equal(1, actual[0]);
            }

            var extents = new List<Extent>();
            await backend.ListExtentsAsync(1L << 30, OneTebibyte - (1L << 30), 10, extents);
            Assert.Equal([(1L << 30, 4096L), ((1L << 30) + 4096, OneTebibyte - (1L << 30) - 8192), (OneTebibyte - 4096, 4096L)], extents.Select(e => (e.Offset, e.Length)));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task OneTebibyte_TakesOnlyWhatIsWritten()
    {
        await using var backend = new MemoryBackend(OneTebibyte);
        Assert.Equal(0, backend.AllocatedLength);
        byte[] data = BackendModel.Bytes(1, 100_000);
        long[] offsets = [0, (3L << 30) - 5000, 700_000_000_000, OneTebibyte - data.Length];
        foreach (long offset in offsets)
            await backend.WriteAsync(offset, data);
        byte[] buffer = new byte[data.Length];
        foreach (long offset in offsets)
        {
            await backend.ReadAsync(offset, buffer);
            Assert.Equal(data, buffer);
        }

        await backend.ReadAsync(OneTebibyte / 3, buffer);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
        Assert.InRange(backend.AllocatedLength, 1, 6L * (32 << 20));
        await backend.TrimAsync(0, OneTebibyte);
        Assert.Equal(0, backend.AllocatedLength);
    }

    [Fact(Timeout = 120_000)]
    public async Task Extents_AreExactToThePage_AndJoinedOverBlocks()
    {
        await using var backend = new MemoryBackend(OneTebibyte);
        await backend.WriteAsync(64 << 20, new byte[1]);
        await backend.WriteAsync((200L << 30) - 4096, new byte[8192]);
        var extents = new List<Extent>();
        await backend.ListExtentsAsync(0, OneTebibyte, 100, extents);
        const ExtentKind Hole = ExtentKind.Hole | ExtentKind.Zero;
        Extent[] expected =
        [
            new(0, 64 << 20, Hole),
            new(64 << 20, 4096, ExtentKind.Data),
            new((64 << 20) + 4096, (200L << 30) - 4096 - (64 << 20) - 4096, Hole),
            new((200L << 30) - 4096, 8192, ExtentKind.Data),
            new((200L << 30) + 4096, OneTebibyte - (200L << 30) - 4096, Hole),
        ];
        Assert.Equal(expected, extents);
    }

    [Fact(Timeout = 120_000)]
    public async Task ReadsBesideTheFirstWriteOfTheirPage_SeeZeroes()
    {
        const int Page = 4096;
        const int Pages = 20_000;
        await using var backend = new MemoryBackend(Pages * Page);
        int current = 0;
        var writer = Task.Factory.StartNew(
            () =>
            {
                byte[] one = [1];
                for (int page = 0; page < Pages; page++)
                {
                    Volatile.Write(ref current, page);
                    Thread.SpinWait(20);
                    backend.WriteAsync(((long)page * Page) + 100, one).GetAwaiter().GetResult();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        byte[] buffer = new byte[10];
        var extents = new List<Extent>();
        while (!writer.IsCompleted)
        {
            long offset = ((long)Volatile.Read(ref current) * Page) + 2000;
            buffer.AsSpan().Fill(0xCC);
            await backend.ReadAsync(offset, buffer);
            Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
            extents.Clear();
            await backend.ListExtentsAsync(offset, 10, 1, extents);
            Assert.Equal(10, Assert.Single(extents).Length);
        }

        await writer;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(MemoryBackend.MaximumLength + 1)]
    [InlineData(long.MaxValue)]
    public void Length_OutOfRange_IsMisuse(long length)
        => Assert.Throws<ArgumentOutOfRangeException>(() => new MemoryBackend(length));

    [Fact(Timeout = 120_000)]
    public async Task LongestBackend_IsMadeAndUsed()
    {
        await using var backend = new MemoryBackend(MemoryBackend.MaximumLength);
        await backend.WriteAsync(MemoryBackend.MaximumLength - 1, new byte[] { 9 });
        byte[] buffer = new byte[2];
        await backend.ReadAsync(MemoryBackend.MaximumLength - 2, buffer);
        Assert.Equal([0, 9], buffer);
    }

    [Fact(Timeout = 120_000)]
    public async Task Trimmed_InAnyPieces_IsGivenBack()
    {
        const int Length = 16 << 20;
        await using var backend = new MemoryBackend(Length);
        await backend.WriteAsync(0, BackendModel.Bytes(2, Length));
        Assert.Equal(Length, backend.AllocatedLength);
        for (int offset = 0; offset < Length; offset += 12 << 10)
            await backend.TrimAsync(offset, Math.Min(12 << 10, Length - offset));
        Assert.Equal(0, backend.AllocatedLength);
        await backend.WriteAsync(0, BackendModel.Bytes(3, Length));
        await backend.ZeroAsync(0, Length);
        Assert.Equal(0, backend.AllocatedLength);
    }

    [Fact(Timeout = 120_000)]
    public async Task Trimmed_WhileLent_IsGivenBackWithTheLoan()
    {
        await using var backend = new MemoryBackend(4 << 20);
        await backend.WriteAsync(0, BackendModel.Bytes(4, 4 << 20));
        Assert.True(backend.TryLend(100, 1000, out var first));
        Assert.True(backend.TryLend(200, 1000, out var second));
        await backend.TrimAsync(0, 4 << 20);
        Assert.Equal(4 << 20, backend.AllocatedLength);
        first.Dispose();
        Assert.Equal(4 << 20, backend.AllocatedLength);
        second.Dispose();
        Assert.Equal(0, backend.AllocatedLength);
    }

    [Fact(Timeout = 120_000)]
    public async Task Disposed_WhileLent_IsGivenBackWithTheLastLoan()
    {
        var backend = new MemoryBackend(4 << 20);
        byte[] data = BackendModel.Bytes(5, 4 << 20);
        await backend.WriteAsync(0, data);
        Assert.True(backend.TryLend(0, 1000, out var first));
        Assert.True(backend.TryLend(0, 2000, out var second));
        await backend.TrimAsync(2 << 20, 1 << 20);
        await backend.DisposeAsync();
        first.Dispose();
        Assert.Equal(4 << 20, backend.AllocatedLength);
        Assert.True(second.Memory.Span.SequenceEqual(data.AsSpan(0, 2000)));
        second.Dispose();
        Assert.Equal(0, backend.AllocatedLength);
    }

    [Fact(Timeout = 120_000)]
    public async Task KeepAllocated_TakesTheBlocks()
    {
        await using var backend = new MemoryBackend(12 << 20);
        await backend.ZeroAsync(1 << 20, 4 << 20, ZeroMode.KeepAllocated);
        Assert.Equal(8 << 20, backend.AllocatedLength);
        var extents = new List<Extent>();
        await backend.ListExtentsAsync(0, backend.Length, 10, extents);
        Assert.Equal(
            [ExtentKind.Hole | ExtentKind.Zero, ExtentKind.Data, ExtentKind.Hole | ExtentKind.Zero], extents.Select(e => e.Kind));
    }

    [Fact(Timeout = 120_000)]
    public Task ReadsWritesAndLoans_CompleteSynchronouslyAndAllocateNothing()
    {
        var backend = new MemoryBackend(8 << 20);
        byte[] buffer = new byte[65_536];
        Round(backend, buffer);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            Round(backend, buffer);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        return backend.DisposeAsync().AsTask();
    }

    [Fact(Timeout = 120_000)]
    public async Task NeighboursThatFillAndEmptyOneBlock_LoseNothing()
    {
        // Each page is emptied again and again, so that the block they share goes and comes under the others' hands.
        await using var backend = new MemoryBackend(4 << 20);
        var workers = Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            byte[] data = BackendModel.Bytes(worker, 4096);
            byte[] buffer = new byte[4096];
            long offset = worker * 4096;
            for (int i = 0; i < 4000; i++)
            {
                await backend.WriteAsync(offset, data);
                await backend.ReadAsync(offset, buffer);
                Assert.True(data.AsSpan().SequenceEqual(buffer), $"Worker {worker} lost its write in round {i}.");
                if ((i & 1) == 0)
                    await backend.TrimAsync(offset, 4096);
                else
                    await backend.ZeroAsync(offset, 4096);
                await backend.ReadAsync(offset, buffer);
                Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0), $"Worker {worker} sees what it zeroed in round {i}.");
            }
        })).ToArray();
        await Task.WhenAll(workers);
        Assert.Equal(0, backend.AllocatedLength);
    }

    [Fact(Timeout = 120_000)]
    public async Task Disposing_DuringReadsWritesAndLoans_NeverMakesUpBytes()
    {
        byte[] data = BackendModel.Bytes(6, 64 << 10);
        for (int round = 0; round < 100; round++)
        {
            var backend = new MemoryBackend(16 << 20);
            await backend.WriteAsync(5 << 20, data);
            using var started = new CountdownEvent(3);
            var users = Enumerable.Range(0, 3).Select(user => Task.Run(() => UseUntilDisposed(backend, user, data, started))).ToArray();
            Assert.True(started.Wait(TimeSpan.FromSeconds(60)));
            await backend.DisposeAsync();
            await Task.WhenAll(users);
            Assert.Equal(0, backend.AllocatedLength);
        }
    }

    private static void UseUntilDisposed(MemoryBackend backend, int user, byte[] data, CountdownEvent started)
    {
        byte[] buffer = new byte[data.Length];
        bool first = true;
        try
        {
            for (int i = 0; ; i++)
            {
                backend.ReadAsync(5 << 20, buffer).GetAwaiter().GetResult();
                Assert.True(data.AsSpan().SequenceEqual(buffer));
                backend.WriteAsync((user << 18) + (i % 4 << 22), data.AsMemory(0, 4096)).GetAwaiter().GetResult();
                if (backend.TryLend(5 << 20, data.Length, out var lent))
                {
                    Assert.True(data.AsSpan(0, lent.Memory.Length).SequenceEqual(lent.Memory.Span));
                    lent.Dispose();
                }

                if (first)
                    started.Signal();
                first = false;
            }
        }
        catch (ObjectDisposedException)
        {
            Assert.False(first);
        }
    }

    private static void Round(MemoryBackend backend, byte[] buffer)
    {
        Assert.True(backend.WriteAsync((4 << 20) - 5000, buffer).IsCompletedSuccessfully);
        Assert.True(backend.ReadAsync((4 << 20) - 5000, buffer).IsCompletedSuccessfully);
        Assert.True(backend.ReadAsync(1000, buffer.AsMemory(0, 100)).IsCompletedSuccessfully);
        Assert.True(backend.TryLend(4 << 20, 4096, out var lent));
        lent.Dispose();
    }
}
