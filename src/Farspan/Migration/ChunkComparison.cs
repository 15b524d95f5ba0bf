using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Farspan.Backends;

namespace Farspan.Migration;

/// <summary>
/// Finds chunks that need not come: what is here in their place, elsewhere in the local store, or in another source counts where it has the digest that the
/// seeder tells.
/// </summary>
internal sealed class ChunkComparison(RegionCopy copy, ISeeder seeder, CopyRules rules, IReadOnlyList<IBackend> sources)
{
    /// <summary>Chunks whose digests are asked for at once.</summary>
    public const int BatchSize = 64;

    /// <summary>Chunks that are known by their digest, at most: some 50 MB.</summary>
    private const int MostKnown = 1 << 20;

    private const int DigestSize = SHA256.HashSizeInBytes;

    private readonly Dictionary<ulong, long> _places = [];
    private long _found;

    /// <summary>Bytes that had not to come.</summary>
    public long Found => Volatile.Read(ref _found);

    /// <summary>Learns the digests of what the store holds, so that a chunk is found wherever it is. Before anything else is done with the store.</summary>
    /// <exception cref="BackendException">The store failed.</exception>
    public async ValueTask LearnAsync(CancellationToken cancellationToken)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(copy.Layout.ChunkSize);
        try
        {
            for (long at = copy.Used.NextSet(0); at >= 0 && _places.Count < MostKnown; at = copy.Used.NextSet(at + 1))
            {
                var bytes = chunk.AsMemory(0, copy.Layout.LengthOf(at));
                await copy.Local.Backend.ReadAsync(copy.Layout.OffsetOf(at), bytes, cancellationToken);
                _places.TryAdd(KeyOf(SHA256.HashData(bytes.Span)), at);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    /// <summary>Whether a chunk that is missing may be somewhere. Under the copy's gate.</summary>
    public bool IsWorthwhile(long chunkIndex) => copy.Doubtful[chunkIndex];

    /// <summary>The first chunk from one on that may be; the chunk count where there is none. Under the copy's gate.</summary>
    public long NextWorthwhile(long chunkIndex) => copy.Doubtful.NextSet(chunkIndex) is >= 0 and var next ? next : copy.Layout.ChunkCount;

    /// <summary>The end of a run of such chunks that are compared at once. Under the copy's gate.</summary>
    public long EndOf(long chunkIndex) => Math.Min(chunkIndex + BatchSize, copy.Doubtful.NextClear(chunkIndex));

    /// <summary>All chunks may be somewhere, where another place than their own is known. Under the copy's gate.</summary>
    public void DoubtAll()
    {
        if (sources.Count > 0 || _places.Count > 0)
            copy.Doubtful.Set(0, copy.Layout.ChunkCount);
    }

    /// <summary>Compares a run; what was not found has its bytes asked for next.</summary>
    /// <returns>False where the seeder refuses.</returns>
    /// <exception cref="BackendException">The line or the local store failed.</exception>
    public async ValueTask<bool> CompareAsync(CopyFetch run, CancellationToken cancellationToken)
    {
        byte[] digests = new byte[run.Count * DigestSize];
        if (!await seeder.DigestAsync(run.Request, run.FirstChunk, digests, cancellationToken))
            return false;
        byte[] chunk = ArrayPool<byte>.Shared.Rent(copy.Layout.ChunkSize);
        try
        {
            for (int i = 0; i < run.Count; i++)
            {
                long index = run.FirstChunk + i;
                var bytes = chunk.AsMemory(0, copy.Layout.LengthOf(index));
                var digest = digests.AsMemory(i * DigestSize, DigestSize);
                if (await IsInPlaceAsync(run.Request, index, digest, bytes)
                    || (await FindAsync(index, digest, bytes, cancellationToken) && await copy.StoreAsync(index, 1, bytes, () => rules.MayStore(run.Request))))
                {
                    Interlocked.Add(ref _found, bytes.Length);
                }
            }

            lock (copy.Gate)
            {
                if (rules.MayStore(run.Request))
                    copy.Doubtful.Clear(run.FirstChunk, run.Count);
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static ulong KeyOf(ReadOnlySpan<byte> digest) => MemoryMarshal.Read<ulong>(digest);

    private async ValueTask<bool> IsInPlaceAsync(SeederRequest request, long index, ReadOnlyMemory<byte> digest, Memory<byte> bytes)
    {
        var hold = await copy.Locks.AcquireAsync(index, index, exclusive: true, CancellationToken.None);
        try
        {
            if (copy.IsHere(index))
                return true;
            await copy.Local.Backend.ReadAsync(copy.Layout.OffsetOf(index), bytes);
            if (!IsDigestOf(digest, bytes))
                return false;
            lock (copy.Gate)
            {
                if (!rules.MayStore(request))
                    return false;
                copy.SetHere(index, 1);
                return true;
            }
        }
        finally
        {
            copy.Locks.Release(hold);
        }
    }

    private async ValueTask<bool> FindAsync(long index, ReadOnlyMemory<byte> digest, Memory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_places.TryGetValue(KeyOf(digest.Span), out long place) && copy.Layout.LengthOf(place) == bytes.Length)
        {
            await copy.Local.Backend.ReadAsync(copy.Layout.OffsetOf(place), bytes, cancellationToken);
            if (IsDigestOf(digest, bytes))
                return true;
        }

        foreach (var source in sources)
        {
            if (copy.Layout.OffsetOf(index) + bytes.Length > source.Length)
                continue;
            try
            {
                await source.ReadAsync(copy.Layout.OffsetOf(index), bytes, cancellationToken);
                if (IsDigestOf(digest, bytes))
                    return true;
            }
            catch (BackendException)
            {
                // The seeder has it, too.
            }
        }

        return false;
    }

    private static bool IsDigestOf(ReadOnlyMemory<byte> digest, ReadOnlyMemory<byte> bytes)
    {
        Span<byte> own = stackalloc byte[DigestSize];
        SHA256.HashData(bytes.Span, own);
        return own.SequenceEqual(digest.Span);
    }
}
