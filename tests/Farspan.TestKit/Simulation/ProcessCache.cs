using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>A cache as a <see cref="SimulatedProcess"/> sees it.</summary>
internal sealed class ProcessCache(SimulatedProcess process, IChunkCache inner) : IChunkCache
{
    public long Length => inner.Length;

    public int ChunkSize => inner.ChunkSize;

    public bool IsDurable => inner.IsDurable;

    public CacheLease Lease => inner.Lease;

    public IEnumerable<RecoveredChunk> Recovered => inner.Recovered;

    public IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes => inner.RecoveredZeroes;

    public ValueTask KeepLeaseAsync(CacheLease lease) => process.ReturnAsync(() => inner.KeepLeaseAsync(lease));

    public ValueTask ForgetCleanAsync() => process.ReturnAsync(inner.ForgetCleanAsync);

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        => process.ReturnAsync(() => inner.ReadAsync(offset, buffer, cancellationToken));

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
        => process.ReturnAsync(() => inner.WriteAsync(offset, buffer, cancellationToken));

    public ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken)
        => process.ReturnAsync(() => inner.NoteDirtyAsync(chunkIndex, start, length, cancellationToken));

    public void NoteClean(long chunkIndex, uint checksum)
    {
        if (!process.IsDead)
            inner.NoteClean(chunkIndex, checksum);
    }

    public void NoteWhole(long chunkIndex)
    {
        if (!process.IsDead)
            inner.NoteWhole(chunkIndex);
    }

    public ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken)
        => process.ReturnAsync(() => inner.NoteZeroAsync(firstChunk, count, cancellationToken));

    public ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken)
        => process.ReturnAsync(() => inner.DiscardAsync(firstChunk, count, cancellationToken));

    public ValueTask FlushAsync(CancellationToken cancellationToken) => process.ReturnAsync(() => inner.FlushAsync(cancellationToken));

    public ValueTask DisposeAsync() => process.ReturnAsync(() => inner.DisposeAsync());
}
