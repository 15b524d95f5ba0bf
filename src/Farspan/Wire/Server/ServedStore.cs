using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Migration;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>An export with its powers looked up once, and the gate to it.</summary>
internal sealed class ServedStore
{
    public ServedStore(FarspanExport export, FarspanServerOptions options)
    {
        Export = export;

        // The store behind a local lease: this gate takes its place, with the same file.
        Backend = export.Backend.GetCapability<LeasableBackend>()?.Inner ?? export.Backend;
        IsReadOnly = export.ReadOnly || Backend.IsReadOnly;
        Trim = IsReadOnly ? null : Backend.GetCapability<ITrim>();
        Zero = IsReadOnly ? null : Backend.GetCapability<IZero>();
        Extents = Backend.GetCapability<IExtentSource>();
        Lender = Backend.GetCapability<IMemoryLender>();
        InPlaceWriter = IsReadOnly ? null : Backend.GetCapability<IInPlaceWriter>();
        var sizes = Backend.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        Minimum = sizes.Minimum;
        Preferred = sizes.Preferred;
        MaximumPayload = Math.Max(sizes.Minimum, Math.Min(options.MaximumPayload, sizes.Maximum) / sizes.Minimum * sizes.Minimum);
        if (export.Seeder is { } seeder)
            (Region, Preferred) = (new ServedRegion(seeder, MaximumPayload), ChunkSizeOf(seeder));
        Gate = new LeaseGate(new EpochFile(export.LeaseFile, options.Clock), options.Clock, options.LeaseTimeout, options.DrainTimeout);
        Capabilities = (IsReadOnly ? WireCapabilities.ReadOnly : WireCapabilities.Leasing | WireCapabilities.LeaseHistory)
            | (Region is null ? 0 : WireCapabilities.Moving)
            | (Region?.Seeder.Description.IsBacked == true ? WireCapabilities.Backed : 0)
            | (Trim is null ? 0 : WireCapabilities.Trim)
            | (Zero is null ? 0 : WireCapabilities.Zero)
            | (Zero?.CanZeroFast == true ? WireCapabilities.FastZero : 0)
            | (Extents is null ? 0 : WireCapabilities.Extents)
            | (Backend.GetCapability<IConcurrentWriters>() is null ? 0 : WireCapabilities.ConcurrentWriters);
    }

    public FarspanExport Export { get; }

    public IBackend Backend { get; }

    public bool IsReadOnly { get; }

    public ITrim? Trim { get; }

    public IZero? Zero { get; }

    public IExtentSource? Extents { get; }

    public IMemoryLender? Lender { get; }

    public IInPlaceWriter? InPlaceWriter { get; }

    /// <summary>Where the export is a region that is being moved.</summary>
    public ServedRegion? Region { get; }

    public int Minimum { get; }

    public int Preferred { get; }

    /// <summary>The longest read and write, a multiple of the minimum.</summary>
    public int MaximumPayload { get; }

    public LeaseGate Gate { get; }

    public WireCapabilities Capabilities { get; }

    /// <summary>Why the request is refused before anything is done, or null.</summary>
    public string? Check(in WireFrame request, out WireStatus status)
    {
        if (Region is not null)
            return Region.Check(request, out status);
        status = WireStatus.NotSupported;
        if (MoveRequest.Has(request.Operation))
            return "the export is no region that is being moved";
        status = WireStatus.Invalid;
        bool isTransfer = request.Operation is WireOperation.Read or WireOperation.Write;
        int expected = request.Operation == WireOperation.Write && request.Length <= MaximumPayload ? (int)request.Length : 0;
        if (request.Operation != WireOperation.LeaseAcquire && request.PayloadLength != expected)
            return "the payload's length is not the request's";
        bool hasFlags = request.Operation is WireOperation.Zero or WireOperation.Extents;
        if (request.Detail != 0 && (!hasFlags || (request.Operation == WireOperation.Zero && request.Detail > 3)))
            return "the flags are not known";
        if (isTransfer && request.Length > MaximumPayload)
            return $"{request.Length} bytes are more than the {MaximumPayload} of one request";
        bool hasRange = isTransfer || hasFlags || request.Operation == WireOperation.Trim;
        if (!hasRange)
            return null;
        if (!BackendRange.Contains(Backend.Length, request.Offset, request.Length))
            return $"{request.Length} bytes at {request.Offset} are not inside the export's {Backend.Length} bytes";
        if ((request.Offset | request.Length) % Minimum != 0)
            return $"offset and length must be multiples of {Minimum} bytes";
        if (IsReadOnly && request.Operation is WireOperation.Write or WireOperation.Trim or WireOperation.Zero)
        {
            status = WireStatus.ReadOnly;
            return "the export is read-only";
        }

        return null;
    }

    private static int ChunkSizeOf(ISeeder seeder)
        => seeder.Description.ChunkSize is >= 512 and var size ? size : throw new ArgumentException("A region is served in chunks of at least 512 bytes.", nameof(seeder));
}
