namespace Farspan.Backends;

/// <summary>A store of a fixed number of bytes with random access.</summary>
/// <remarks>
/// <para>Any number of calls may run at once. Calls whose ranges overlap are the caller's affair; other calls never disturb each other.</para>
/// <para>A range outside <c>[0, Length)</c> throws <see cref="ArgumentOutOfRangeException"/> and touches nothing. An empty range inside
/// <c>[0, Length]</c> does nothing. Bytes never written read as zero. A store that fails throws <see cref="BackendException"/>; it never
/// makes up bytes.</para>
/// <para>Calls complete synchronously where the data is at hand, so that a serving loop pays no allocation for a local byte. A buffer
/// belongs to the backend from the call until the returned task completes.</para>
/// <para>A cancelled call throws <see cref="OperationCanceledException"/>; what it was to write may be written, in part or whole. So may that of a
/// call that failed with <see cref="BackendError.TimedOut"/> or <see cref="BackendError.Disconnected"/>. A remote store cannot take back a request
/// that is on its way, and may carry it out after the call has ended, over bytes that were written since. Who must know what such a range
/// holds lets writes end by themselves.</para>
/// <para>Optional powers (<see cref="ITrim"/>, <see cref="IZero"/>, <see cref="IExtentSource"/>, <see cref="IBlockSizes"/>,
/// <see cref="IMemoryLender"/>) are found with <see cref="GetCapability{TCapability}"/>, never by a cast: a stage implements more
/// interfaces than the backend below it may be able to serve.</para>
/// </remarks>
public interface IBackend : IAsyncDisposable
{
    /// <summary>The number of bytes; fixed for the backend's life.</summary>
    long Length { get; }

    /// <summary>Whether every write is refused with <see cref="BackendError.ReadOnly"/>.</summary>
    bool IsReadOnly { get; }

    /// <summary>Fills all of <paramref name="buffer"/> with the bytes from <paramref name="offset"/> on, or throws.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>.</exception>
    /// <exception cref="BackendException">The store failed; what the buffer holds is undefined.</exception>
    ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>Writes all of <paramref name="buffer"/> from <paramref name="offset"/> on, or throws.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside <c>[0, Length)</c>; nothing was written.</exception>
    /// <exception cref="BackendException">The store failed; each byte of the range holds its old or its new value.</exception>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>Returns once every write, trim and zero that completed before the call is durable.</summary>
    /// <exception cref="BackendException">The store failed; nothing may be taken as durable.</exception>
    ValueTask FlushAsync(CancellationToken cancellationToken = default);

    /// <summary>The optional power asked for, or null where this backend, as it is now composed, does not have it.</summary>
    TCapability? GetCapability<TCapability>()
        where TCapability : class;
}
