using Farspan.Backends;
using Xunit;

namespace Farspan.TestKit.Contracts;

/// <summary>
/// What every backend and every stage promises (<see cref="IBackend"/> and the capability interfaces), as tests. A test class derives from it,
/// says how to make a backend and which powers it has, and inherits all tests.
/// </summary>
public abstract partial class BackendContract
{
    private const int TimeLimit = 120_000;

    /// <summary>Lengths of runs that cross what stores like to use as a unit.</summary>
    private static readonly int[] RunLengths = [1, 7, 511, 512, 4095, 4096, 4097, 65_535, 65_536, 65_537, 150_001];

    /// <summary>The capability interfaces that the backend has: exactly these, so that one that is lost is noticed.</summary>
    protected abstract IReadOnlyCollection<Type> Powers { get; }

    /// <summary>Offsets and lengths are multiples of this many bytes; a power of two. Must equal the minimum of <see cref="IBlockSizes"/>.</summary>
    protected virtual int Alignment => 1;

    /// <summary>A length of a few hundred KiB to a few MiB that is, where the backend can do that, no multiple of any chunk.</summary>
    protected virtual long Length => (1 << 20) + 12_345;

    /// <summary>Whether <see cref="ReopenAsync"/> finds what was flushed.</summary>
    protected virtual bool IsPersistent => false;

    /// <summary>Whether extents tell what is reserved but never written from holes; file systems do not.</summary>
    protected virtual bool TellsReservedFromHole => true;

    /// <summary>The number of random models that FsCheck tries; fewer for what is slow to make.</summary>
    protected virtual int ModelRuns => 60;

    /// <summary>A new backend that reads as zero, of <paramref name="length"/> bytes, a multiple of <see cref="Alignment"/>.</summary>
    protected abstract ValueTask<IBackend> CreateAsync(long length);

    /// <summary>Opens again what the last <see cref="CreateAsync"/> made and the test has disposed.</summary>
    protected virtual ValueTask<IBackend> ReopenAsync(long length)
        => throw new InvalidOperationException($"{GetType().Name} says that it is persistent and does not override {nameof(ReopenAsync)}.");

    [Fact(Timeout = TimeLimit)]
    public async Task Created_HasItsLengthAndTakesWrites()
    {
        await using var backend = await CreateAlignedAsync();
        Assert.Equal(AlignedLength, backend.Length);
        Assert.False(backend.IsReadOnly);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task NeverWritten_ReadsAsZero()
    {
        await using var backend = await CreateAlignedAsync();
        var buffer = Filled(AlignedLength);
        await backend.ReadAsync(0, buffer);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Written_ReadsBack_AtEveryKindOfOffsetAndLength()
    {
        await using var backend = await CreateAlignedAsync();
        var model = new BackendModel((int)backend.Length);
        int seed = 1;
        foreach (int near in RunLengths)
        {
            foreach (int run in RunLengths)
            {
                for (int shift = -1; shift <= 1; shift++)
                {
                    var (offset, length) = Align(near + (shift * Alignment), run, backend.Length);
                    await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Write, offset, length, seed++));
                    await model.CheckAsync(backend, offset, length);
                }
            }
        }

        await model.CheckAllAsync(backend, Math.Max(Alignment, 65_536));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Tail_IsReadAndWritten()
    {
        await using var backend = await CreateAlignedAsync();
        foreach (int run in RunLengths)
        {
            int length = Math.Max(Alignment, run / Alignment * Alignment);
            byte[] data = BackendModel.Bytes(run, length);
            await backend.WriteAsync(backend.Length - length, data);
            var buffer = Filled(length);
            await backend.ReadAsync(backend.Length - length, buffer);
            Assert.Equal(data, buffer);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Whole_IsWrittenAndReadInOneCall()
    {
        await using var backend = await CreateAlignedAsync();
        byte[] data = BackendModel.Bytes(3, (int)backend.Length);
        await backend.WriteAsync(0, data);
        var buffer = Filled(backend.Length);
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ShortestBackend_Works()
    {
        await using var backend = await CreateAsync(Alignment);
        Assert.Equal(Alignment, backend.Length);
        byte[] data = BackendModel.Bytes(4, Alignment);
        await backend.WriteAsync(0, data);
        var buffer = Filled(Alignment);
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.ReadAsync(Alignment, buffer));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RangeOutside_ThrowsAndTouchesNothing()
    {
        await using var backend = await CreateAlignedAsync();
        var model = new BackendModel((int)backend.Length);
        await model.ApplyAsync(backend, new ModelOperation(ModelOperationKind.Write, 0, model.Length, 5));
        byte[] data = BackendModel.Bytes(6, 2 * Alignment);
        foreach (var (offset, length) in RangesOutside(backend.Length))
        {
            var buffer = Filled(length);
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.ReadAsync(offset, buffer));
            Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0xCC), $"The read at {offset} touched the buffer.");
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.WriteAsync(offset, data.AsMemory(0, (int)length)));
        }

        await model.CheckAllAsync(backend, Math.Max(Alignment, 65_536));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task EmptyRange_DoesNothingInsideAndThrowsOutside()
    {
        await using var backend = await CreateAlignedAsync();
        foreach (long offset in new[] { 0, AlignedLength / 2 / Alignment * Alignment, AlignedLength })
        {
            await backend.ReadAsync(offset, Memory<byte>.Empty);
            await backend.WriteAsync(offset, ReadOnlyMemory<byte>.Empty);
        }

        foreach (long offset in new[] { -1L, AlignedLength + 1, long.MaxValue, long.MinValue })
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.ReadAsync(offset, Memory<byte>.Empty));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await backend.WriteAsync(offset, ReadOnlyMemory<byte>.Empty));
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task TokenAlreadyCancelled_ThrowsAndTheBackendGoesOn()
    {
        await using var backend = await CreateAlignedAsync();
        var cancelled = new CancellationToken(canceled: true);
        var buffer = new byte[Alignment];
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await backend.ReadAsync(0, buffer, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await backend.WriteAsync(0, buffer, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await backend.FlushAsync(cancelled));
        byte[] data = BackendModel.Bytes(7, Alignment);
        await backend.WriteAsync(0, data);
        await backend.FlushAsync();
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Disposed_ThrowsObjectDisposed_AndDisposesTwice()
    {
        var backend = await CreateAlignedAsync();
        var buffer = new byte[Alignment];
        await backend.WriteAsync(0, buffer);
        await backend.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await backend.ReadAsync(0, buffer));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await backend.WriteAsync(0, buffer));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await backend.FlushAsync());
        await backend.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Flushed_IsThereAfterReopening()
    {
        byte[] data = BackendModel.Bytes(8, (int)AlignedLength);
        await using (var backend = await CreateAlignedAsync())
        {
            await backend.WriteAsync(0, data);
            await backend.FlushAsync();
            var kept = Filled(AlignedLength);
            await backend.ReadAsync(0, kept);
            Assert.Equal(data, kept);
        }

        if (!IsPersistent)
            return;
        await using var again = await ReopenAsync(AlignedLength);
        Assert.Equal(AlignedLength, again.Length);
        var buffer = Filled(AlignedLength);
        await again.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
    }
}
