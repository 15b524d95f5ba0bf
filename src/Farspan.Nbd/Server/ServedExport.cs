using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>An export with the backend's powers looked up once.</summary>
internal sealed class ServedExport
{
    /// <summary>Reads and writes longer than this are carried out in pieces, so that a client holds no more memory than it has filled.</summary>
    private const int PieceGoal = 1 << 20;

    private volatile bool _extentsAreSlow;
    private volatile bool _writesComeLate;

    public ServedExport(NbdExport export, int maximumRequestBytes)
    {
        ArgumentNullException.ThrowIfNull(export.Backend);
        Name = export.Name;
        NameBytes = Text(export.Name, "name");
        DescriptionBytes = Text(export.Description, "description");
        Backend = export.Backend;
        Length = Backend.Length;
        ReadOnly = export.ReadOnly || Backend.IsReadOnly;
        Lender = Backend.GetCapability<IMemoryLender>();
        InPlaceWriter = Backend.GetCapability<IInPlaceWriter>();
        Trim = Backend.GetCapability<ITrim>();
        Zero = Backend.GetCapability<IZero>();
        Extents = Backend.GetCapability<IExtentSource>();
        Maps = Backend.GetCapability<IStateMaps>();
        Contexts = ServedContext.List(Maps);
        BlockSizes = Backend.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        int piece = Math.Min(BlockSizes.Maximum, Math.Max(PieceGoal, BlockSizes.Preferred));
        PieceBytes = Math.Max(piece - (piece % BlockSizes.Minimum), BlockSizes.Minimum);
        Sizes = new BlockSizeInfo(
            (uint)BlockSizes.Minimum,
            (uint)BlockSizes.Preferred,
            (uint)Math.Max(maximumRequestBytes - (maximumRequestBytes % BlockSizes.Minimum), BlockSizes.Preferred));
        if (!Sizes.IsValid)
            throw new ArgumentException($"The block sizes of export '{Name}' ({BlockSizes}) are not what NBD allows.", nameof(export));
        MultiConnection = ReadOnly || Backend.GetCapability<IConcurrentWriters>() is not null;
    }

    public string Name { get; }

    public byte[] NameBytes { get; }

    public byte[] DescriptionBytes { get; }

    public IBackend Backend { get; }

    public long Length { get; }

    public bool ReadOnly { get; }

    public bool MultiConnection { get; }

    public IMemoryLender? Lender { get; }

    public IInPlaceWriter? InPlaceWriter { get; }

    public ITrim? Trim { get; }

    public IZero? Zero { get; }

    public IExtentSource? Extents { get; }

    public IStateMaps? Maps { get; }

    /// <summary>The metadata contexts, each at its index.</summary>
    public IReadOnlyList<ServedContext> Contexts { get; }

    public BlockSizes BlockSizes { get; }

    public BlockSizeInfo Sizes { get; }

    public int PieceBytes { get; }

    /// <summary>Whether a read should ask for extents first; false once they did not come at once.</summary>
    public bool ReadsFindHoles => Extents is not null && !_extentsAreSlow;

    public void NoteSlowExtents() => _extentsAreSlow = true;

    /// <summary>Whether a write has been seen that did not complete at once: then each gets a buffer of its own size.</summary>
    public bool WritesComeLate => _writesComeLate;

    public void NoteLateWrite() => _writesComeLate = true;

    public NbdTransmissionFlags Flags(HeaderMode mode, bool hasContexts)
    {
        var flags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendFua | NbdTransmissionFlags.SendCache;
        if (ReadOnly)
            flags |= NbdTransmissionFlags.ReadOnly;
        else
            flags |= NbdTransmissionFlags.SendWriteZeroes;
        if (!ReadOnly && Trim is not null)
            flags |= NbdTransmissionFlags.SendTrim;
        if (!ReadOnly && Zero is { CanZeroFast: true })
            flags |= NbdTransmissionFlags.SendFastZero;
        if (MultiConnection)
            flags |= NbdTransmissionFlags.CanMultiConn;
        if (mode != HeaderMode.Simple)
            flags |= NbdTransmissionFlags.SendDf;
        if (mode == HeaderMode.Extended && hasContexts)
            flags |= NbdTransmissionFlags.BlockStatusPayload;
        return flags;
    }

    /// <summary>The length of the next piece of a range: up to the backend's liking, ending where its preferred blocks end.</summary>
    public int PieceAt(long offset, long end)
    {
        long left = end - offset;
        if (left <= PieceBytes)
            return (int)left;
        int past = (int)((offset + PieceBytes) & (BlockSizes.Preferred - 1));
        return past < PieceBytes ? PieceBytes - past : PieceBytes;
    }

    private static byte[] Text(string text, string what)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text ?? "");
        if (!NbdText.IsValid(bytes))
            throw new ArgumentException($"The {what} of an export is longer than {NbdConstants.MaximumStringLength} bytes or holds a NUL.", nameof(text));
        return bytes;
    }
}
