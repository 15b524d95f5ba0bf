using Farspan.Chunks;
using Farspan.Migration;

namespace Farspan.Cli.Migration;

/// <summary>A seeder that tells what is answered, and counts what the leecher has got. Thread-safe.</summary>
/// <param name="inner">The seeder; not owned.</param>
/// <param name="answered">Called with each call that was decided; it is to return at once.</param>
internal sealed class WatchedSeeder(ISeeder inner, Action<SeederRequest, SeederReply> answered) : ISeeder
{
    private readonly Lock _lock = new();
    private readonly ChunkLayout _layout = new(inner.Description.Length, inner.Description.ChunkSize);
    private readonly ChunkBitmap _missing = All(inner.Description);
    private long _session;
    private long _sent;

    /// <inheritdoc/>
    public SeederDescription Description => inner.Description;

    /// <summary>Bytes that were sent.</summary>
    public long SentBytes => Interlocked.Read(ref _sent);

    /// <summary>
    /// Bytes that the leecher does not have, about: what it had from elsewhere, and proved by digests, is not known here.
    /// </summary>
    public long MissingBytes
    {
        get
        {
            lock (_lock)
                return Math.Min(_missing.Count * _layout.ChunkSize, _layout.Length);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        var reply = await inner.AskAsync(request, cancellationToken);
        if (reply.Answer == SeederAnswer.Tracking)
        {
            lock (_lock)
            {
                if (_session != reply.Session)
                    _missing.Set(0, _missing.ChunkCount);
                _session = reply.Session;
            }
        }

        answered(request, reply);
        return reply;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!await inner.ReadAsync(request, offset, buffer, cancellationToken))
            return false;
        Interlocked.Add(ref _sent, buffer.Length);
        long first = (offset + _layout.ChunkSize - 1) / _layout.ChunkSize;
        long end = offset + buffer.Length == _layout.Length ? _layout.ChunkCount : (offset + buffer.Length) / _layout.ChunkSize;
        if (end > first)
        {
            lock (_lock)
                _missing.Clear(first, end - first);
        }

        return true;
    }

    /// <inheritdoc/>
    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => inner.DigestAsync(request, firstChunk, digests, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
    {
        var page = await inner.ListAsync(request, firstChunk, limit, cancellationToken);
        lock (_lock)
        {
            foreach (var run in page?.Runs ?? [])
                _missing.Set(run.FirstChunk, run.Count);
        }

        return page;
    }

    private static ChunkBitmap All(SeederDescription description)
    {
        var all = new ChunkBitmap(new ChunkLayout(description.Length, description.ChunkSize).ChunkCount);
        all.Set(0, all.ChunkCount);
        return all;
    }
}
