using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Tests.Mounts.Caching;

/// <summary>A chunk as a mount would see it, in units of 256 bytes whose content tells their version.</summary>
internal sealed class ChunkModel
{
    public const int UnitLength = 256;

    public ChunkModel(int index, long offset, int length, Func<int> nextVersion)
    {
        Index = index;
        Offset = offset;
        Length = length;
        Units = [.. Enumerable.Range(0, length / UnitLength).Select(_ => new UnitModel(nextVersion()))];
    }

    public int Index { get; }

    public long Offset { get; }

    public int Length { get; }

    public UnitModel[] Units { get; }

    public bool IsWhole { get; set; }

    /// <summary>Whether it reads as zero, and the remote does not know.</summary>
    public bool IsZero { get; set; }

    public bool IsDirty => Array.Exists(Units, unit => unit.IsDirty);

    public static byte[] Bytes(IEnumerable<int> versions)
    {
        byte[] bytes = new byte[versions.Count() * UnitLength];
        int at = 0;
        foreach (int version in versions)
        {
            for (int end = at + UnitLength; at < end; at += 4)
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), UnitModel.Content(version));
        }

        return bytes;
    }

    /// <summary>The version that bytes are; -1 where they are of none, or of several.</summary>
    public static int VersionOf(ReadOnlySpan<byte> bytes)
    {
        int version = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        for (int at = 4; at < UnitLength; at += 4)
        {
            if (BinaryPrimitives.ReadInt32LittleEndian(bytes[at..]) != version)
                return -1;
        }

        return version;
    }

    public static int[] VersionsOf(byte[] bytes)
        => [.. Enumerable.Range(0, bytes.Length / UnitLength).Select(unit => VersionOf(bytes.AsSpan(unit * UnitLength)))];

    public uint RemoteChecksum() => Crc32C.Compute(Bytes(Units.Select(unit => unit.Remote)));
}
