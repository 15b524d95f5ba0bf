using System.Buffers.Binary;

namespace Farspan.TestKit.Crashes;

/// <summary>
/// A region in slots that fit no chunk, each written as a whole by one writer with a signature of its slot and its version. Version 0 is zeroes.
/// </summary>
public static class SlotPattern
{
    /// <summary>Bytes of a slot.</summary>
    public const int SlotLength = 2904;

    public const int SlotCount = 600;

    public const int Length = (SlotLength * SlotCount) + 77;

    /// <summary>Slots are dealt to the writers in turn, so that neighbours share chunks.</summary>
    public const int WriterCount = 4;

    public static byte[] Bytes(int slot, int version)
    {
        byte[] bytes = new byte[SlotLength];
        for (int at = 0; version != 0 && at < SlotLength; at += 8)
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), ((((long)version << 20) | (long)slot) * 0x1_0001) ^ ((long)at << 48));
        return bytes;
    }
}
