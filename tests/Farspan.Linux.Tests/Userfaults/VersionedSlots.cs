using System.Buffers.Binary;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>
/// Slots of a region, each written as a whole by one writer, with a word of slot and version throughout; and for each the versions that may be read now:
/// from the last that was acknowledged to the last that was begun.
/// </summary>
internal sealed class VersionedSlots(int length)
{
    public const int SlotLength = 512;

    private readonly int[] _begun = new int[length / SlotLength];
    private readonly int[] _acknowledged = new int[length / SlotLength];

    public int Count => _begun.Length;

    public byte[] Begin(int slot)
    {
        int version = Interlocked.Increment(ref _begun[slot]);
        byte[] bytes = new byte[SlotLength];
        for (int at = 0; at < SlotLength; at += sizeof(long))
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), ((long)version << 32) | (uint)slot);
        return bytes;
    }

    public void Acknowledge(int slot) => Volatile.Write(ref _acknowledged[slot], _begun[slot]);

    /// <summary>The versions of slots that are acknowledged now, for a later <see cref="Check"/>.</summary>
    public int[] Acknowledged(int first, int count) => Enumerable.Range(first, count).Select(slot => Volatile.Read(ref _acknowledged[slot])).ToArray();

    /// <summary>Judges what slots show: nothing older than what was acknowledged before, nothing that was never written.</summary>
    public void Check(string where, int first, int[] acknowledged, ReadOnlySpan<byte> found)
    {
        for (int at = 0; at < acknowledged.Length * SlotLength; at += sizeof(long))
        {
            int slot = first + (at / SlotLength);
            long word = BinaryPrimitives.ReadInt64LittleEndian(found[at..]);
            int version = (int)(word >> 32);
            bool isOfSlot = word == 0 || (uint)word == slot;
            Assert.True(
                isOfSlot && version >= acknowledged[slot - first] && version <= Volatile.Read(ref _begun[slot]),
                $"{where} shows {word:X16} at {at % SlotLength} of slot {slot}: not one of the versions {acknowledged[slot - first]} to {_begun[slot]}.");
        }
    }
}
