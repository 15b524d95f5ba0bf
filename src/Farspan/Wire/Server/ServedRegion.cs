using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Migration;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>A region that is being moved, as an export: what may be asked of it.</summary>
internal sealed class ServedRegion(ISeeder seeder, int maximumPayload)
{
    public const string IsBeingMoved = "the export is a region that is being moved, and nothing else can be asked of it: use farspan leech";

    private readonly ChunkLayout _layout = new(seeder.Description.Length, seeder.Description.ChunkSize);

    public ISeeder Seeder => seeder;

    public int ChunkSize => _layout.ChunkSize;

    /// <summary>The most runs of a page that goes with a reply.</summary>
    public int MaximumRuns { get; } = Math.Min(WireLimits.MaximumRuns, MovePage.Room(maximumPayload - MoveReply.Size));

    /// <summary>Why the request is refused before anything is done, or null.</summary>
    public string? Check(in WireFrame request, out WireStatus status)
    {
        status = WireStatus.NotSupported;
        if (!MoveRequest.Has(request.Operation))
            return request.Operation == WireOperation.Ping ? null : IsBeingMoved;
        status = WireStatus.Invalid;
        if (request.PayloadLength != MoveRequest.Size)
            return "the payload's length is not the request's";
        int flags = request.Operation == WireOperation.MigrateRead ? PackedBytes.ZeroFlag | PackedBytes.CompressFlag : 0;
        if (request.Operation != WireOperation.MigrateList && request.Detail > flags)
            return "the flags are not known";
        return request.Operation switch
        {
            WireOperation.MigrateRead when request.Length > maximumPayload => $"{request.Length} bytes are more than the {maximumPayload} of one request",
            WireOperation.MigrateRead when !BackendRange.Contains(_layout.Length, request.Offset, request.Length)
                => $"{request.Length} bytes at {request.Offset} are not inside the region's {_layout.Length} bytes",
            WireOperation.MigrateDigest when request.Length > WireLimits.MaximumDigests(ChunkSize, maximumPayload) => $"digests of {request.Length} chunks are more than are made at once",
            WireOperation.MigrateDigest when !BackendRange.Contains(_layout.ChunkCount, request.Offset, request.Length)
                => $"{request.Length} chunks from {request.Offset} on are not inside the region's {_layout.ChunkCount} chunks",
            WireOperation.MigrateList when request.Length < 1 => "a page has at least one run",
            _ => null,
        };
    }
}
