namespace Farspan.Migration;

/// <summary>
/// What a leecher can ask of the host that has a region; all calls go this way. In process, or over any wire with requests and replies. Thread-safe.
/// </summary>
/// <remarks>
/// The plain service of other systems is a part of it: their Track is <see cref="SeederCall.Track"/>, their ReadAt is <see cref="ReadAsync"/>, their
/// Sync is <see cref="SeederCall.Finalize"/> with every page of <see cref="ListAsync"/>, their Close is <see cref="SeederCall.Close"/>.
/// </remarks>
internal interface ISeeder
{
    /// <summary>The bytes of the region, and of a chunk, by which changes are told.</summary>
    SeederDescription Description { get; }

    /// <summary>Makes a call that is neither a read nor a list, and returns when it has been decided.</summary>
    /// <exception cref="Backends.BackendException">The line or the seeder failed; whether the call was carried out is not known. It can be made again.</exception>
    ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default);

    /// <summary>Fills the buffer with the region's bytes.</summary>
    /// <returns>False where the seeder refuses; then the buffer says nothing.</returns>
    /// <exception cref="Backends.BackendException">The line or the store failed.</exception>
    ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>Fills the buffer with the SHA-256 of each chunk from <paramref name="firstChunk"/> on, 32 bytes each.</summary>
    /// <returns>False where the seeder refuses.</returns>
    /// <exception cref="Backends.BackendException">The line or the store failed.</exception>
    ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default);

    /// <summary>
    /// A page of the list of a round, or of what changed after the last one: of a <see cref="SeederCall.Round"/> or
    /// <see cref="SeederCall.Finalize"/> request that was answered so. Pages can be asked for again.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="firstChunk">Where the page begins: 0, or where the page before ended.</param>
    /// <param name="limit">The most runs of the page; at least 1.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null where the seeder does not have that list.</returns>
    /// <exception cref="Backends.BackendException">The line failed.</exception>
    ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default);
}
