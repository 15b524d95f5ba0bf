using Farspan.Migration;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;

namespace Farspan.Tests.Migration;

/// <summary>What Farspan's own wire makes of calls and replies, around a line that carries them: the same bytes, and the same first pages kept.</summary>
internal sealed class CodedLine(ISeeder line) : ISeeder
{
    private const int Flags = PackedBytes.ZeroFlag | PackedBytes.CompressFlag;

    // The most runs of a page; few, so that lists have several.
    private const int PageRuns = 2;

    private readonly KeptPage _page = new();

    public SeederDescription Description => line.Description;

    private long ChunkCount => (Description.Length + Description.ChunkSize - 1) / Description.ChunkSize;

    public async ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
    {
        var sent = Through(MoveRequest.OperationOf(request.Call), request);
        var reply = await line.AskAsync(sent, cancellationToken);
        var first = reply is { Answer: SeederAnswer.Round } or { Answer: SeederAnswer.Yours, IsExact: true } ? await line.ListAsync(sent, 0, PageRuns, cancellationToken) : null;
        if (!MoveReply.TryRead(MoveReply.ToBytes(reply, first), ChunkCount, out var came, out var page))
            throw new InvalidOperationException($"The reply {reply} is not one that can be read.");
        if (page is not null)
            _page.Keep(request, page);
        return came;
    }

    public async ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        byte[] bytes = new byte[buffer.Length];
        bool isRead = await line.ReadAsync(Through(WireOperation.MigrateRead, request), offset, bytes, cancellationToken);
        int length = PackedBytes.Pack(bytes, Flags, Description.ChunkSize);
        if (length == bytes.Length)
            bytes.CopyTo(buffer);
        else if (!PackedBytes.TryUnpack(bytes.AsSpan(0, length), buffer.Span, Flags))
            throw new InvalidOperationException("The bytes are not packed as they can be read.");
        return isRead;
    }

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => line.DigestAsync(Through(WireOperation.MigrateDigest, request), firstChunk, digests, cancellationToken);

    public async ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
    {
        if (_page.TryGet(request, firstChunk, limit) is { } kept)
            return kept;
        limit = Math.Min(limit, PageRuns);
        if (await line.ListAsync(Through(WireOperation.MigrateList, request), firstChunk, limit, cancellationToken) is not { } page)
            return null;
        if (!MovePage.TryRead(MovePage.ToBytes(page), firstChunk, ChunkCount, limit, out var came))
            throw new InvalidOperationException("The page is not one that can be read.");
        return came;
    }

    private static SeederRequest Through(WireOperation operation, SeederRequest request)
    {
        var list = operation == WireOperation.MigrateList ? MoveRequest.OperationOf(request.Call) : 0;
        var header = new WireFrame(operation, (ushort)list, 1, MoveRequest.Size, 0, 0, 0, 0);
        return MoveRequest.TryRead(header, MoveRequest.ToBytes(request), out var came)
            ? came
            : throw new InvalidOperationException($"The request {request} is not one that can be read.");
    }
}
