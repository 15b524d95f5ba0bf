using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>Takes fields off the front of option data, checking each length against what is there.</summary>
internal static class NbdFields
{
    public static bool TryTakeUInt32(scoped ref ReadOnlySpan<byte> source, out uint value)
    {
        if (!BinaryPrimitives.TryReadUInt32BigEndian(source, out value))
            return false;
        source = source[sizeof(uint)..];
        return true;
    }

    /// <summary>Takes a 32-bit length and as many bytes; false leaves <paramref name="source"/> in an unspecified place.</summary>
    public static bool TryTakeText(scoped ref ReadOnlySpan<byte> source, out ReadOnlySpan<byte> text)
    {
        text = default;
        if (!TryTakeUInt32(ref source, out uint length) || length > (uint)source.Length)
            return false;
        text = source[..(int)length];
        source = source[(int)length..];
        return true;
    }
}
