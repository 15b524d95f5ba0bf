namespace Farspan.Mounts.Caching;

/// <summary>
/// The local bytes of a managed mount, and the notes that make sense of them after a crash. The mount decides what a chunk is; the cache
/// keeps bytes and notes, and gives both back when it is opened again.
/// </summary>
/// <remarks>
/// <para>Any number of calls run at once; the mount sees to it that calls for the same bytes, and notes for the same chunk, do not run together.</para>
/// <para>A note that takes something away (<see cref="NoteDirtyAsync"/>, <see cref="NoteZeroAsync"/>, <see cref="DiscardAsync"/>) has reached the cache's journal when its
/// task completes: a killed process does not lose it. A note that adds something (<see cref="NoteClean"/>, <see cref="NoteWhole"/>) may be
/// written later, and never before the bytes that it speaks of. What a completed <see cref="FlushAsync"/> covers survives a loss of power.</para>
/// <para>Where <see cref="IsDurable"/>, bytes go to the remote only after a <see cref="FlushAsync"/> that began after they were noted as dirty, and
/// a flush of the mount completes only after one that covers its writes, even where the remote has them all: else a loss of power could bring
/// back older bytes as clean ones, or push them over newer ones.</para>
/// </remarks>
internal interface IChunkCache : IAsyncDisposable
{
    /// <summary>Bytes of the region, cached or not.</summary>
    long Length { get; }

    /// <summary>Bytes of a chunk; a power of two.</summary>
    int ChunkSize { get; }

    /// <summary>Whether a flush makes anything durable: not so for a cache in memory.</summary>
    bool IsDurable { get; }

    /// <summary>Who the cache is to its remote, and the last lease that it was used under.</summary>
    CacheLease Lease { get; }

    /// <summary>What was known when the cache was opened, by rising index. Read before any chunk is read, written or noted.</summary>
    IEnumerable<RecoveredChunk> Recovered { get; }

    /// <summary>
    /// Runs of chunks that read as zero and of which the remote may not know (<see cref="NoteZeroAsync"/>), by rising index, not touching; none
    /// of them is in <see cref="Recovered"/>. Read as that is.
    /// </summary>
    IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes { get; }

    /// <summary>Keeps what <see cref="Lease"/> is from now on; durable when this returns.</summary>
    /// <exception cref="Backends.BackendException">The cache failed.</exception>
    ValueTask KeepLeaseAsync(CacheLease lease);

    /// <summary>
    /// Of all that was recovered only what is dirty stays; durable when this returns. Before any chunk is read, written or noted;
    /// <see cref="Recovered"/> then says what is left.
    /// </summary>
    /// <exception cref="Backends.BackendException">The cache failed.</exception>
    ValueTask ForgetCleanAsync();

    /// <summary>Bytes that were written before, and not discarded since.</summary>
    /// <exception cref="Backends.BackendException">The cache failed.</exception>
    ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Stores bytes.</summary>
    /// <exception cref="Backends.BackendException">The cache failed, or has no space left (<see cref="Backends.BackendError.NoSpace"/>).</exception>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>
    /// Bytes of the chunk are about to be written that the remote does not have: <paramref name="length"/> bytes from
    /// <paramref name="start"/>, counted from the chunk's start. Awaited before they are written.
    /// </summary>
    /// <remarks>
    /// Of a chunk that is not whole yet the note reaches the journal together with the write, before that completes: a note never speaks of bytes
    /// that are not there. Exactly the bytes that are written are noted, not those around them.
    /// </remarks>
    ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken);

    /// <summary>The chunk is all here and what is here is at the remote, durable: <paramref name="checksum"/> is the CRC-32C of its bytes.</summary>
    /// <remarks>Given also for a recovered chunk whose checksum was found right: the proof is then not asked for again.</remarks>
    void NoteClean(long chunkIndex, uint checksum);

    /// <summary>The bytes around the dirty ones have been written too: the chunk is all here, and still dirty in the ranges noted.</summary>
    void NoteWhole(long chunkIndex);

    /// <summary>
    /// The chunks read as zero from now on, and the remote does not know: what was here of them is forgotten and its space is given back. One
    /// note for the whole run, however long. A later <see cref="NoteDirtyAsync"/> ends this for its chunk, and is preceded by no write; the
    /// mount then writes all of that chunk, zeroes too, and notes all of it dirty.
    /// </summary>
    ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken);

    /// <summary>The chunks, clean, dirty or zero, are forgotten and their space is given back. One note for the whole run, however long.</summary>
    ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken);

    /// <summary>Returns once every byte and every note given before is durable (where <see cref="IsDurable"/>).</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);
}
