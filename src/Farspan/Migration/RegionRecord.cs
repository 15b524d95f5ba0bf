using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Migration;

/// <summary>
/// What a host keeps of a region, durably: what it is to it, since which hand-over, and with whom. Every promise of a migration hangs on this
/// record being durable before the next step (docs/migration.md).
/// </summary>
/// <remarks>
/// <code>
///  0  8  magic "FSREGION"
///  8  4  version: 1
/// 12  4  role, a <see cref="RegionRole"/>
/// 16 16  region: random, given once; a new one after a take back by force
/// 32 16  token of the move, random; zero where none is under way
/// 48  8  epoch
/// 56  4  0
/// 60  4  CRC-32C of bytes 0 to 59
/// </code>
/// </remarks>
/// <param name="Role">What this host is to the region.</param>
/// <param name="Region">Which region.</param>
/// <param name="Epoch">
/// The number of the ownership: of an owner his own, of one who handed over the new owner's. Of two records of one region the higher one is newer.
/// </param>
/// <param name="Token">
/// The move that made this so: of an owner one whose source has not been told yet that everything came. Zero where no move is under way.
/// </param>
internal readonly record struct RegionRecord(RegionRole Role, Guid Region, long Epoch, Guid Token)
{
    public const int Size = 64;

    private const int Checked = Size - 4;
    private const int Version = 1;

    private static ReadOnlySpan<byte> Magic => "FSREGION"u8;

    /// <summary>Whether this host may write.</summary>
    public bool MayWrite => Role is RegionRole.Owner or RegionRole.Receiving;

    /// <summary>The record of a region that begins here.</summary>
    public static RegionRecord Begin(Guid region) => new(RegionRole.Owner, region, 1, Guid.Empty);

    /// <summary>False where the bytes are no record, or one that no host writes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out RegionRecord record)
    {
        record = default;
        if (source.Length != Size || !source.StartsWith(Magic)
            || Crc32C.Compute(source[..Checked]) != BinaryPrimitives.ReadUInt32LittleEndian(source[Checked..])
            || BinaryPrimitives.ReadInt32LittleEndian(source[8..]) != Version)
        {
            return false;
        }

        var read = new RegionRecord(
            (RegionRole)BinaryPrimitives.ReadInt32LittleEndian(source[12..]), new Guid(source.Slice(16, 16)),
            BinaryPrimitives.ReadInt64LittleEndian(source[48..]), new Guid(source.Slice(32, 16)));
        if (!read.IsSound)
            return false;
        record = read;
        return true;
    }

    public void Write(Span<byte> destination)
    {
        destination = destination[..Size];
        destination.Clear();
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], (int)Role);
        Region.TryWriteBytes(destination[16..]);
        Token.TryWriteBytes(destination[32..]);
        BinaryPrimitives.WriteInt64LittleEndian(destination[48..], Epoch);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[Checked..], Crc32C.Compute(destination[..Checked]));
    }

    private bool IsSound => Role switch
    {
        RegionRole.Owner => Region != Guid.Empty && Epoch >= 1,
        RegionRole.HandedOver or RegionRole.Released or RegionRole.Receiving => Region != Guid.Empty && Epoch >= 2 && Token != Guid.Empty,
        RegionRole.Following or RegionRole.GaveUp => Epoch >= 0 && Token != Guid.Empty,
        _ => false,
    };
}
