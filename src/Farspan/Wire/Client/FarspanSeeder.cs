using System.Security.Cryptography;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Migration;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// A seeder on another host, by Farspan's own wire. A call whose connection is lost fails, transiently: whether it was carried out is not known, and
/// it can be made again. Calls that are made before the server is back wait up to <see cref="FarspanClientOptions.ReconnectTimeout"/>. Thread-safe.
/// </summary>
internal sealed class FarspanSeeder : ISeeder, IAsyncDisposable
{
    /// <summary>With checksums, what is longer goes in pieces, as in <see cref="FarspanClientBackend"/>.</summary>
    private const int LargestChecked = 256 << 10;

    /// <summary>Bytes of chunks whose digests are asked for at once.</summary>
    private const int LargestDigested = 16 << 20;

    private readonly WireLink _link;
    private readonly LinkSupervisor _supervisor;
    private readonly FarspanSeederOptions _options;
    private readonly ChunkLayout _layout;
    private readonly ushort _flags;
    private readonly int _longestRead;
    private readonly int _mostDigests;
    private readonly int _mostRuns;
    private readonly KeptPage _page = new();
    private volatile bool _isDisposed;

    private FarspanSeeder(WireLink link, LinkSupervisor supervisor, FarspanSeederOptions options)
    {
        _link = link;
        _supervisor = supervisor;
        _options = options;
        var hello = link.Hello;
        _layout = new ChunkLayout(hello.Length, hello.PreferredBlock);
        _flags = (ushort)(PackedBytes.ZeroFlag | (options.Compresses ? PackedBytes.CompressFlag : 0));
        _longestRead = link.HasChecksums ? Math.Min(hello.MaximumPayload, LargestChecked) : hello.MaximumPayload;
        _mostDigests = Math.Min(Math.Max(1, LargestDigested / hello.PreferredBlock), WireLimits.MaximumDigests(hello.PreferredBlock, hello.MaximumPayload));
        _mostRuns = Math.Min(WireLimits.MaximumRuns, MovePage.Room(hello.MaximumPayload));
        Description = new SeederDescription(hello.Length, hello.PreferredBlock, (hello.Capabilities & WireCapabilities.Backed) != 0);
    }

    /// <inheritdoc/>
    public SeederDescription Description { get; }

    /// <summary>Connects to what a URI of Farspan's own wire names.</summary>
    /// <exception cref="FormatException">A part of the URI does not fit.</exception>
    /// <exception cref="BackendException">The server cannot be reached or refuses, or the export is no region that is being moved.</exception>
    public static ValueTask<FarspanSeeder> OpenAsync(
        BackendUri uri, BackendOpenOptions open, FarspanSeederOptions? options = null, CancellationToken cancellationToken = default)
        => ConnectAsync(FarspanUri.Parse(uri, open), options, cancellationToken);

    /// <summary>Connects to a server.</summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The server cannot be reached or refuses, or the export is no region that is being moved.</exception>
    public static async ValueTask<FarspanSeeder> ConnectAsync(
        FarspanClientOptions client, FarspanSeederOptions? options = null, CancellationToken cancellationToken = default)
    {
        client.Validate();
        options = (options ?? new FarspanSeederOptions()).Validate();
        var (link, supervisor) = await LinkSupervisor.ConnectAsync(client, isMoving: true, cancellationToken);
        if (link.Hello.PreferredBlock <= ChunkLayout.MaximumChunkSize)
            return new FarspanSeeder(link, supervisor, options);
        await supervisor.DisposeAsync();
        throw new BackendException(BackendError.Protocol, $"{client.Name}: chunks of {link.Hello.PreferredBlock} bytes are longer than any can be.");
    }

    /// <inheritdoc/>
    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        var answer = new WireAnswer { LeastPayload = MoveReply.Size, MostPayload = MoveReply.Longest };
        try
        {
            await CallAsync(MoveRequest.OperationOf(request.Call), request, new Call(0, 0, 0, default, answer, _options.AskTimeout), cancellationToken);
            if (!MoveReply.TryRead(answer.Payload, _layout.ChunkCount, out var reply, out var page))
                throw Broken($"the reply to {request.Call} cannot be");
            if (page is not null)
                _page.Keep(request, page);
            return reply;
        }
        finally
        {
            answer.Return();
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(_layout.Length, offset, buffer.Length);
        return buffer.Length <= _longestRead
            ? ReadPieceAsync(request, offset, buffer, cancellationToken)
            : InPiecesAsync(buffer, _longestRead, (at, piece) => ReadPieceAsync(request, offset + at, piece, cancellationToken));
    }

    /// <inheritdoc/>
    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
    {
        int count = digests.Length / SHA256.HashSizeInBytes;
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstChunk, _layout.ChunkCount - count);
        return InPiecesAsync(
            digests[..(count * SHA256.HashSizeInBytes)],
            _mostDigests * SHA256.HashSizeInBytes,
            (at, piece) => DigestPieceAsync(request, firstChunk + (at / SHA256.HashSizeInBytes), piece, cancellationToken));
    }

    /// <inheritdoc/>
    public async ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        cancellationToken.ThrowIfCancellationRequested();
        if (_page.TryGet(request, firstChunk, limit) is { } kept)
            return kept;
        limit = Math.Min(limit, _mostRuns);
        var answer = new WireAnswer { LeastPayload = MovePage.SizeOf(0), MostPayload = MovePage.SizeOf(limit) };
        try
        {
            var list = MoveRequest.OperationOf(request.Call == SeederCall.Round ? SeederCall.Round : SeederCall.Finalize);
            await CallAsync(WireOperation.MigrateList, request, new Call(firstChunk, limit, (ushort)list, default, answer, null), cancellationToken);
            if (answer.IsRefused)
                return null;
            return MovePage.TryRead(answer.Payload, firstChunk, _layout.ChunkCount, limit, out var page) ? page : throw Broken("the page of a list cannot be");
        }
        finally
        {
            answer.Return();
        }
    }

    /// <summary>Ends the calls that are under way, within the options' time for closing, and takes leave.</summary>
    public ValueTask DisposeAsync()
    {
        _isDisposed = true;
        return _supervisor.DisposeAsync();
    }

    private static async ValueTask<bool> InPiecesAsync(Memory<byte> buffer, int longest, Func<int, Memory<byte>, ValueTask<bool>> call)
    {
        var running = new List<Task<bool>>();
        for (int at = 0; at < buffer.Length; at += longest)
            running.Add(call(at, buffer.Slice(at, Math.Min(longest, buffer.Length - at))).AsTask());
        return Array.TrueForAll(await Task.WhenAll(running), static isGranted => isGranted);
    }

    private async ValueTask<bool> ReadPieceAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var answer = new WireAnswer { LeastPayload = Math.Min(buffer.Length, PackedBytes.LeastSize), MostPayload = buffer.Length };
        try
        {
            await CallAsync(WireOperation.MigrateRead, request, new Call(offset, buffer.Length, _flags, buffer, answer, null), cancellationToken);
            if (answer.HasPayload && !PackedBytes.TryUnpack(answer.Payload, buffer.Span, _flags))
                throw Broken($"the bytes at {offset} are packed wrongly");
            return !answer.IsRefused;
        }
        finally
        {
            answer.Return();
        }
    }

    private async ValueTask<bool> DigestPieceAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken)
    {
        var answer = new WireAnswer { LeastPayload = digests.Length, MostPayload = digests.Length };
        var call = new Call(firstChunk, digests.Length / SHA256.HashSizeInBytes, 0, digests, answer, null);
        await CallAsync(WireOperation.MigrateDigest, request, call, cancellationToken);
        return !answer.IsRefused;
    }

    private async ValueTask CallAsync(WireOperation operation, SeederRequest ask, Call call, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        var request = _link.Rent();
        request.Prepare(operation, call.Offset, call.Length, epoch: 0, call.Flags);
        request.Payload = MoveRequest.ToBytes(ask);
        request.Target = call.Target;
        request.Answer = call.Answer;
        request.Patience = call.Patience;
        request.FailsOnLoss = true;
        try
        {
            await _link.Submit(request, cancellationToken);
        }
        catch (BackendException error) when (error.Error == BackendError.ShuttingDown && !error.IsTransient)
        {
            // A seeder is started again: what it has to give is not over with its process.
            throw new BackendException(error.Error, error.Message, error, isTransient: true);
        }
    }

    private BackendException Broken(string what) => new(BackendError.Protocol, $"{_link.Options.Name}: {what}.");

    private readonly record struct Call(long Offset, long Length, ushort Flags, Memory<byte> Target, WireAnswer Answer, TimeSpan? Patience);
}
