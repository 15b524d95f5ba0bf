using System.Buffers.Binary;
using Farspan.TestKit;

namespace Farspan.Nbd.Tests.Fuzzing;

/// <summary>Makes wrong messages of right ones, the same ones for the same seed.</summary>
internal sealed class Mutator(int seed)
{
    private static readonly uint[] Interesting =
        [0, 1, 2, 3, 7, 8, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0xffff, 0x10000, 1 << 20, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

    private readonly Random _random = new(seed);

    /// <summary>
    /// How many cases a fuzz test of <paramref name="usual"/> cases runs: more in a long run, and where FARSPAN_FUZZ_CASES says so (a number of
    /// cases).
    /// </summary>
    public static int Cases(int usual)
        => int.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out int asked) ? Math.Max(usual, asked) : LongRun.Rounds(usual);

    public int Next(int limit) => _random.Next(limit);

    public void Fill(Span<byte> bytes) => _random.NextBytes(bytes);

    /// <summary>Random bytes, from none to <paramref name="longest"/>.</summary>
    public byte[] Bytes(int longest)
    {
        byte[] bytes = new byte[_random.Next(longest + 1)];
        _random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>A copy with one to a few changes.</summary>
    public byte[] Mutate(ReadOnlySpan<byte> original)
    {
        byte[] bytes = original.ToArray();
        for (int changes = 1 + _random.Next(3); changes > 0; changes--)
            bytes = Change(bytes);
        return bytes;
    }

    private byte[] Change(byte[] bytes)
    {
        if (bytes.Length == 0)
            return Bytes(8);
        int at = _random.Next(bytes.Length);
        switch (_random.Next(8))
        {
            case 0:
                bytes[at] ^= (byte)(1 << _random.Next(8));
                return bytes;
            case 1:
                bytes[at] = (byte)_random.Next(256);
                return bytes;
            case 2 or 3 when bytes.Length >= 4:
                int field = _random.Next(bytes.Length - 3);
                BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(field), Interesting[_random.Next(Interesting.Length)]);
                return bytes;
            case 4 when bytes.Length >= 2:
                int small = _random.Next(bytes.Length - 1);
                BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(small), (ushort)_random.Next(40));
                return bytes;
            case 5:
                return bytes[..at];
            case 6:
                return [.. bytes[..at], .. Bytes(12), .. bytes[at..]];
            default:
                int end = Math.Min(bytes.Length, at + _random.Next(32));
                return _random.Next(2) == 0 ? [.. bytes[..end], .. bytes[at..]] : [.. bytes[..at], .. bytes[end..]];
        }
    }
}
