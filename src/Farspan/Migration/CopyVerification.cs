using System.Buffers;
using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Migration;

/// <summary>
/// Compares all of a region that has come, and that the program has not written since, with the seeder's digests: the bytes there have not changed since
/// the hand-over. Not thread-safe.
/// </summary>
internal sealed class CopyVerification(RegionCopy copy, ISeeder seeder, CopyRules rules, LeecherOptions options)
{
    private const int DigestSize = SHA256.HashSizeInBytes;
    private const int Batch = ChunkComparison.BatchSize;
    private const int Ahead = 4;

    private long _next;
    private long _verified;

    /// <summary>Bytes that were compared.</summary>
    public long Verified => Volatile.Read(ref _verified);

    /// <summary>Goes on where the last call ended.</summary>
    /// <returns>Whether all was compared; false where the seeder refuses.</returns>
    /// <exception cref="BackendException">The line or the local store failed, or the store does not keep what is written to it (<see cref="BackendError.Corrupt"/>).</exception>
    public async ValueTask<bool> RunAsync(CancellationToken closing)
    {
        // The seeder reads and computes the next ones while those before are compared here.
        var asked = new Queue<Task<bool>>();
        byte[][] digests = new byte[Ahead][];
        for (int i = 0; i < Ahead; i++)
            digests[i] = new byte[Batch * DigestSize];
        long next = _next;
        bool isOver = false;
        byte[] chunk = ArrayPool<byte>.Shared.Rent(copy.Layout.ChunkSize);
        try
        {
            while (!isOver && _next < copy.Layout.ChunkCount)
            {
                if (Ask() is not { } request)
                    return false;
                for (; asked.Count < Ahead && next < copy.Layout.ChunkCount; next += Batch)
                    asked.Enqueue(TellAsync(request, next, digests[next / Batch % Ahead].AsMemory(0, (int)CountAt(next) * DigestSize), closing).AsTask());
                isOver = !await asked.Dequeue();
                for (int i = 0; !isOver && i < CountAt(_next); i++)
                    await CheckAsync(request, _next + i, digests[_next / Batch % Ahead].AsMemory(i * DigestSize, DigestSize), chunk, closing);
                _next += isOver ? 0 : CountAt(_next);
            }

            return !isOver;
        }
        catch (BackendException failure) when (failure.IsTransient && options.Behind is not null && !closing.IsCancellationRequested)
        {
            // Without the seeder there is nothing to compare with, and nothing that hangs on it.
            return true;
        }
        finally
        {
            await EndAsync(asked);
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static async ValueTask EndAsync(Queue<Task<bool>> asked)
    {
        foreach (var task in asked)
        {
            try
            {
                await task;
            }
            catch (BackendException)
            {
                // It is asked for again.
            }
        }
    }

    private long CountAt(long firstChunk) => Math.Min(Batch, copy.Layout.ChunkCount - firstChunk);

    private ValueTask<bool> TellAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken closing)
        => Patience.RunAsync(token => seeder.DigestAsync(request, firstChunk, digests, token), options.RequestTimeout, options.Clock, closing);

    private SeederRequest? Ask()
    {
        lock (copy.Gate)
            return rules.AskRead();
    }

    private async ValueTask CheckAsync(SeederRequest request, long index, ReadOnlyMemory<byte> digest, byte[] chunk, CancellationToken closing)
    {
        var hold = await copy.Locks.AcquireAsync(index, index, exclusive: true, closing);
        try
        {
            var bytes = chunk.AsMemory(0, copy.Layout.LengthOf(index));
            if (copy.IsWritten(index))
                return;
            if (!await IsRightAsync(index, digest, bytes))
                await MendAsync(request, index, digest, bytes, closing);
            Interlocked.Add(ref _verified, bytes.Length);
        }
        finally
        {
            copy.Locks.Release(hold);
        }
    }

    private async ValueTask MendAsync(SeederRequest request, long index, ReadOnlyMemory<byte> digest, Memory<byte> bytes, CancellationToken closing)
    {
        long offset = copy.Layout.OffsetOf(index);
        if (await Patience.RunAsync(token => seeder.ReadAsync(request, offset, bytes, token), options.RequestTimeout, options.Clock, closing))
        {
            await copy.Local.Backend.WriteAsync(offset, bytes, closing);
            if (await IsRightAsync(index, digest, bytes))
                return;
        }

        throw new BackendException(BackendError.Corrupt, $"The local store holds other bytes at {offset} than were written there; the seeder is kept from letting go.");
    }

    private async ValueTask<bool> IsRightAsync(long index, ReadOnlyMemory<byte> digest, Memory<byte> bytes)
    {
        await copy.Local.Backend.ReadAsync(copy.Layout.OffsetOf(index), bytes);
        return SHA256.HashData(bytes.Span).AsSpan().SequenceEqual(digest.Span);
    }
}
