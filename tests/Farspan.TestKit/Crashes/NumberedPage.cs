using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.TestKit.Crashes;

/// <summary>A page of 4 KiB that says which write it is of, and proves that it is all of it. A page of zeroes is number 0, before the first write.</summary>
/// <param name="Number">The number of the write; each is given once, and later writes have higher ones.</param>
/// <param name="Epoch">The ownership of the region under which it was written.</param>
/// <param name="Host">Who wrote it.</param>
public readonly record struct NumberedPage(long Number, long Epoch, int Host)
{
    public const int Length = 4096;

    private const long Magic = 0x4547415052424D4E;
    private const int HeaderLength = 40;
    private const int Checked = Length - 4;

    /// <summary>Writes all of the page.</summary>
    /// <param name="page">Where.</param>
    /// <param name="index">Which page of the region it is.</param>
    public void Write(Span<byte> page, long index)
    {
        BinaryPrimitives.WriteInt64LittleEndian(page, Magic);
        BinaryPrimitives.WriteInt64LittleEndian(page[8..], Number);
        BinaryPrimitives.WriteInt64LittleEndian(page[16..], index);
        BinaryPrimitives.WriteInt64LittleEndian(page[24..], Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(page[32..], Host);
        ulong state = ((ulong)Number * 0x9E3779B97F4A7C15) | 1;
        for (int at = HeaderLength; at < Length; at += 8)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            BinaryPrimitives.WriteUInt64LittleEndian(page[at..], state);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(page[Checked..], Crc32C.Compute(page[..Checked]));
    }

    /// <summary>Reads a page; false where it is none that was ever written as the page <paramref name="index"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> page, long index, out NumberedPage found)
    {
        found = default;
        if (!page.ContainsAnyExcept((byte)0))
            return true;
        if (BinaryPrimitives.ReadInt64LittleEndian(page) != Magic || BinaryPrimitives.ReadInt64LittleEndian(page[16..]) != index
            || BinaryPrimitives.ReadUInt32LittleEndian(page[Checked..]) != Crc32C.Compute(page[..Checked]))
        {
            return false;
        }

        found = new NumberedPage(
            BinaryPrimitives.ReadInt64LittleEndian(page[8..]), BinaryPrimitives.ReadInt64LittleEndian(page[24..]), (int)BinaryPrimitives.ReadInt64LittleEndian(page[32..]));
        return true;
    }
}
