using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Farspan.Backends;

/// <summary>
/// Bytes that anybody can compute: to try a line, a mount or a program with, where every byte tells whether it is the right one. Nothing is stored.
/// </summary>
/// <remarks>
/// Word <c>i</c> of eight bytes, little-endian, is <c>i + 1</c> times <c>0x9E3779B97F4A7C15</c>, mixed as SplitMix64 does it: <c>x ^= x &gt;&gt; 30</c>, times
/// <c>0xBF58476D1CE4E5B9</c>, <c>x ^= x &gt;&gt; 27</c>, times <c>0x94D049BB133111EB</c>, <c>x ^= x &gt;&gt; 31</c>. The length may cut the last word.
/// </remarks>
internal sealed class PatternBackend : UnwritableBackend, IConcurrentWriters
{
    /// <summary>Creates one of <paramref name="length"/> bytes.</summary>
    public PatternBackend(long length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        Length = length;
    }

    /// <inheritdoc/>
    public override long Length { get; }

    /// <inheritdoc/>
    protected override string Refusal => "A pattern is read-only.";

    /// <summary>Fills a buffer with the bytes of the pattern from an offset on.</summary>
    public static void Fill(long offset, Span<byte> buffer)
    {
        long word = offset >> 3;
        int skipped = (int)(offset & 7);
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        if (skipped > 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, Word(word++));
            int count = Math.Min(sizeof(ulong) - skipped, buffer.Length);
            bytes.Slice(skipped, count).CopyTo(buffer);
            buffer = buffer[count..];
        }

        var words = MemoryMarshal.Cast<byte, ulong>(buffer);
        for (int i = 0; i < words.Length; i++)
            words[i] = BitConverter.IsLittleEndian ? Word(word + i) : BinaryPrimitives.ReverseEndianness(Word(word + i));
        buffer = buffer[(words.Length * sizeof(ulong))..];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Word(word + words.Length));
        bytes[..buffer.Length].CopyTo(buffer);
    }

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        Fill(offset, buffer.Span);
        return default;
    }

    private static ulong Word(long index)
    {
        ulong x = unchecked(((ulong)index + 1) * 0x9E3779B97F4A7C15);
        x = unchecked((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9);
        x = unchecked((x ^ (x >> 27)) * 0x94D049BB133111EB);
        return x ^ (x >> 31);
    }
}
