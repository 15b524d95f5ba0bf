using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Farspan.Checksums;

/// <summary>
/// CRC-32C: polynomial 0x1EDC6F41 (Castagnoli), reflected, begun and ended with all ones, as in RFC 3720, ext4 and NVMe. By the processor's
/// instruction, three lanes at a time, where it has one.
/// </summary>
public static class Crc32C
{
    // One instruction takes three cycles but a new one can start each cycle: three independent lanes keep the unit busy.
    private const int LongLane = 1024;
    private const int ShortLane = 128;
    private const uint Polynomial = 0x82F63B78;

    private static readonly uint[] LongShift = BuildShift(LongLane);
    private static readonly uint[] ShortShift = BuildShift(ShortLane);

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>The checksum of what <paramref name="checksum"/> is of, followed by <paramref name="data"/>.</summary>
    public static uint Append(uint checksum, ReadOnlySpan<byte> data)
    {
        uint state = ~checksum;
        state = Lanes(state, ref data, LongLane, LongShift);
        state = Lanes(state, ref data, ShortLane, ShortShift);
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(data))
            state = BitOperations.Crc32C(state, Little(word));
        foreach (byte rest in data[(data.Length & ~7)..])
            state = BitOperations.Crc32C(state, rest);
        return ~state;
    }

    /// <summary>The checksum of <paramref name="length"/> zero bytes, in a time that grows with the number of its digits.</summary>
    public static uint OfZeroes(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return ~Multiply(PowerOfX(8 * (ulong)length), uint.MaxValue);
    }

    private static uint Lanes(uint state, ref ReadOnlySpan<byte> data, int lane, uint[] shift)
    {
        while (data.Length >= 3 * lane)
        {
            // By reference, since checks of three spans take longer than the checksum.
            ref byte first = ref MemoryMarshal.GetReference(data);
            ref byte second = ref Unsafe.Add(ref first, lane);
            ref byte third = ref Unsafe.Add(ref second, lane);
            ulong zero = state;
            ulong one = 0;
            ulong two = 0;
            for (int i = 0; i < lane; i += 2 * sizeof(ulong))
            {
                zero = Step(Step(zero, ref first, i), ref first, i + sizeof(ulong));
                one = Step(Step(one, ref second, i), ref second, i + sizeof(ulong));
                two = Step(Step(two, ref third, i), ref third, i + sizeof(ulong));
            }

            state = Shift(Shift((uint)zero, shift) ^ (uint)one, shift) ^ (uint)two;
            data = data[(3 * lane)..];
        }

        return state;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Step(ulong state, ref byte lane, int at)
    {
        ulong word = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref lane, at));
        return Sse42.X64.IsSupported ? Sse42.X64.Crc32(state, word) : BitOperations.Crc32C((uint)state, Little(word));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Little(ulong word) => BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word);

    /// <summary>The state after as many zero bytes as the table was built for.</summary>
    private static uint Shift(uint state, uint[] table)
        => table[state & 0xFF] ^ table[256 + (state >> 8 & 0xFF)] ^ table[512 + (state >> 16 & 0xFF)] ^ table[768 + (state >> 24)];

    private static uint[] BuildShift(int length)
    {
        var table = new uint[4 * 256];
        uint power = PowerOfX(8 * (ulong)length);
        for (int i = 0; i < table.Length; i++)
            table[i] = Multiply(power, (uint)(i & 0xFF) << (i >> 8 << 3));
        return table;
    }

    /// <summary>x to the power of <paramref name="exponent"/> modulo the polynomial; bit 31 is the coefficient of x^0.</summary>
    private static uint PowerOfX(ulong exponent)
    {
        uint result = 1u << 31;
        uint square = 1u << 30;
        for (; exponent != 0; exponent >>= 1)
        {
            if ((exponent & 1) != 0)
                result = Multiply(result, square);
            square = Multiply(square, square);
        }

        return result;
    }

    /// <summary>The product of two polynomials modulo the polynomial.</summary>
    private static uint Multiply(uint left, uint right)
    {
        uint product = 0;
        for (uint bit = 1u << 31; bit != 0; bit >>= 1)
        {
            if ((left & bit) != 0)
                product ^= right;
            right = (right >> 1) ^ ((right & 1) * Polynomial);
        }

        return product;
    }
}
