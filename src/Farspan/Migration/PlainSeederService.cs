using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Migration;

/// <summary>
/// Serves a seeder to one client of the plain service, under one token. What the plain service leaves open it leaves open here, too: a client that
/// lost the answer to its Sync must ask again, and one that closes after it is taken to have everything.
/// </summary>
/// <param name="seeder">Who has the region; stays the caller's.</param>
/// <param name="token">Names this client's move; another one for each client.</param>
internal sealed class PlainSeederService(ISeeder seeder, Guid token) : IPlainSeeder
{
    private const int PageRuns = 4096;

    private readonly Lock _gate = new();
    private readonly ChunkLayout _layout = new(seeder.Description.Length, seeder.Description.ChunkSize);
    private SeederRequest? _tracked;
    private bool _isSynced;

    /// <inheritdoc/>
    public ValueTask<long> SizeAsync(CancellationToken cancellationToken = default) => new(seeder.Description.Length);

    /// <inheritdoc/>
    public async ValueTask<int> ReadAtAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        int count = (int)Math.Clamp(_layout.Length - offset, 0, buffer.Length);
        var request = Tracked(SeederCall.Read);
        if (count > 0 && !await seeder.ReadAsync(request, offset, buffer[..count], cancellationToken))
            throw Refused();
        return count;
    }

    /// <inheritdoc/>
    public async ValueTask TrackAsync(CancellationToken cancellationToken = default)
    {
        var reply = await seeder.AskAsync(new SeederRequest(SeederCall.Track, token), cancellationToken);

        // Handed over to this client before: what it lost of that, Sync tells again.
        if (reply.Answer is not (SeederAnswer.Tracking or SeederAnswer.Yours))
            throw FailureOf(reply);
        lock (_gate)
            _tracked = new SeederRequest(SeederCall.Track, token, reply.Session);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<long>> SyncAsync(CancellationToken cancellationToken = default)
    {
        var request = Tracked(SeederCall.Finalize);
        var reply = await seeder.AskAsync(request, cancellationToken);
        if (reply.Answer != SeederAnswer.Yours)
            throw FailureOf(reply);
        var changed = reply.IsExact ? await ListAsync(request, cancellationToken) : null;
        lock (_gate)
            _isSynced = true;
        return changed ?? Offsets([new ChangedRun(0, _layout.ChunkCount)]);
    }

    /// <inheritdoc/>
    public async ValueTask CloseAsync(CancellationToken cancellationToken = default)
    {
        bool isSynced;
        lock (_gate)
            isSynced = _isSynced;
        var reply = await seeder.AskAsync(new SeederRequest(isSynced ? SeederCall.Close : SeederCall.GiveUp, token), cancellationToken);
        if (reply.Answer is not (SeederAnswer.Released or SeederAnswer.GivenUp))
            throw FailureOf(reply);
        lock (_gate)
            _tracked = null;
    }

    private SeederRequest Tracked(SeederCall call)
    {
        lock (_gate)
        {
            return _tracked is { } tracked
                ? tracked with { Call = call }
                : throw new BackendException(BackendError.Invalid, "Nothing is tracked: call Track first, so that no change is missed.");
        }
    }

    private async ValueTask<List<long>?> ListAsync(SeederRequest request, CancellationToken cancellationToken)
    {
        var offsets = new List<long>();
        for (long next = 0; next >= 0;)
        {
            if (await seeder.ListAsync(request, next, PageRuns, cancellationToken) is not { } page)
                return null;
            offsets.AddRange(Offsets(page.Runs));
            next = page.NextChunk;
        }

        return offsets;
    }

    private List<long> Offsets(IEnumerable<ChangedRun> runs)
    {
        var offsets = new List<long>();
        foreach (var run in runs)
        {
            for (long chunk = run.FirstChunk; chunk < run.FirstChunk + run.Count; chunk++)
                offsets.Add(_layout.OffsetOf(chunk));
        }

        return offsets;
    }

    private static BackendException FailureOf(in SeederReply reply) => reply.Answer == SeederAnswer.Busy
        ? new BackendException(BackendError.Leased, "The region is not given now: another client is served, or its program could not be suspended.", isTransient: true)
        : Refused();

    private static BackendException Refused() => new(BackendError.Fenced, "The seeder refuses: what it recorded for this client is over.");
}
