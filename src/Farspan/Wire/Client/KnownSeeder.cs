using Farspan.Backends;
using Farspan.Migration;
using Farspan.Mounts.Caching;

namespace Farspan.Wire.Client;

/// <summary>
/// The seeder of a move that this host has accepted before: what it has is known, so that nobody waits for it to answer. Each call tries to connect, where nothing
/// is connected, and fails, transiently, where that fails. Thread-safe.
/// </summary>
internal sealed class KnownSeeder : ISeeder, IAsyncDisposable
{
    private readonly Func<CancellationToken, ValueTask<FarspanSeeder>> _connect;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _lock = new();
    private Task<FarspanSeeder>? _connecting;
    private bool _isDisposed;

    /// <summary>Nothing is connected yet.</summary>
    /// <param name="description">What the seeder has.</param>
    /// <param name="connect">Connects to it.</param>
    public KnownSeeder(SeederDescription description, Func<CancellationToken, ValueTask<FarspanSeeder>> connect)
    {
        Description = description;
        _connect = connect;
    }

    /// <inheritdoc/>
    public SeederDescription Description { get; }

    /// <summary>
    /// The seeder that a URI names: connected; or, where the region has come to this host already, one that need not answer now.
    /// </summary>
    /// <param name="files">Where the record of the move is.</param>
    /// <param name="uri">Where the seeder is.</param>
    /// <param name="open">How to connect.</param>
    /// <param name="options">How it works.</param>
    /// <param name="isBacked">Whether a store stands behind the region, as both hosts were told.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="FormatException">A part of the URI does not fit.</exception>
    /// <exception cref="BackendException">The record cannot be read; or the server was needed and cannot be reached, or has no region that is being moved.</exception>
    public static async ValueTask<KnownSeeder> OpenAsync(
        ICacheFiles files, BackendUri uri, BackendOpenOptions open, FarspanSeederOptions options, bool isBacked, CancellationToken cancellationToken)
    {
        var client = FarspanUri.Parse(uri, open);
        var record = await RegionRecordFile.ReadAsync(files);
        if (record.MayWrite && record.Token != Guid.Empty && await HereLog.FindLayoutAsync(files, record.Token) is { } layout)
            return new KnownSeeder(new SeederDescription(layout.Length, layout.ChunkSize, isBacked), token => FarspanSeeder.ConnectAsync(client, options, token));
        var connected = await FarspanSeeder.ConnectAsync(client, options, cancellationToken);
        return new KnownSeeder(connected.Description, token => FarspanSeeder.ConnectAsync(client, options, token)) { _connecting = Task.FromResult(connected) };
    }

    /// <inheritdoc/>
    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => await (await ConnectedAsync(cancellationToken)).AskAsync(request, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => await (await ConnectedAsync(cancellationToken)).ReadAsync(request, offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => await (await ConnectedAsync(cancellationToken)).DigestAsync(request, firstChunk, digests, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
        => await (await ConnectedAsync(cancellationToken)).ListAsync(request, firstChunk, limit, cancellationToken);

    /// <summary>Ends the calls that are under way, and takes leave.</summary>
    public async ValueTask DisposeAsync()
    {
        Task<FarspanSeeder>? connecting;
        lock (_lock)
        {
            if (_isDisposed)
                return;
            _isDisposed = true;
            connecting = _connecting;
        }

        await _closing.CancelAsync();
        try
        {
            if (connecting is not null)
                await (await connecting).DisposeAsync();
        }
        catch (Exception failure) when (failure is BackendException or OperationCanceledException)
        {
            // It was never connected.
        }

        _closing.Dispose();
    }

    private async ValueTask<FarspanSeeder> ConnectedAsync(CancellationToken cancellationToken)
    {
        Task<FarspanSeeder> connecting;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_connecting is null or { IsFaulted: true } or { IsCanceled: true })
                _connecting = ConnectAsync();
            connecting = _connecting;
        }

        return await connecting.WaitAsync(cancellationToken);
    }

    private async Task<FarspanSeeder> ConnectAsync()
    {
        FarspanSeeder seeder;
        try
        {
            seeder = await _connect(_closing.Token);
        }
        catch (BackendException failure) when (!failure.IsTransient)
        {
            // Whatever stands there now: the seeder may be started again.
            throw new BackendException(failure.Error, failure.Message, failure, isTransient: true);
        }

        if (seeder.Description.Length == Description.Length && seeder.Description.ChunkSize == Description.ChunkSize)
            return seeder;
        await seeder.DisposeAsync();
        throw new BackendException(
            BackendError.Invalid,
            $"The region there has {seeder.Description.Length} bytes in chunks of {seeder.Description.ChunkSize}, and the one that comes from there {Description.Length} in chunks of {Description.ChunkSize}.",
            innerException: null, isTransient: true);
    }
}
