using System.Buffers;

namespace Farspan.Nbd.Client;

/// <summary>
/// Sees to it that the chunks of one read cover every byte exactly once. Chunks that come in order, as they do from every server known, cost
/// two additions; only the first one out of order brings a bitmap of one bit a byte. Not thread-safe.
/// </summary>
internal sealed class ReadCoverage
{
    private long _length;
    private long _prefix;
    private long _covered;
    private ulong[]? _bits;

    /// <summary>Whether every byte was covered.</summary>
    public bool IsComplete => _covered == _length;

    /// <summary>Bytes not covered yet.</summary>
    public long Missing => _length - _covered;

    /// <summary>Starts anew for a read of <paramref name="length"/> bytes.</summary>
    public void Reset(long length)
    {
        if (_bits is not null)
            ArrayPool<ulong>.Shared.Return(_bits);
        _bits = null;
        _length = length;
        _prefix = 0;
        _covered = 0;
    }

    /// <summary>Covers a part; false where it holds no byte, lies outside, or a byte of it was covered before.</summary>
    public bool TryCover(long start, long count)
    {
        if (count <= 0 || start < 0 || start > _length - count)
            return false;
        if (_bits is null)
        {
            if (start == _prefix)
            {
                _prefix += count;
                _covered += count;
                return true;
            }

            if (start < _prefix)
                return false;
            int words = (int)((_length + 63) / 64);
            _bits = ArrayPool<ulong>.Shared.Rent(words);
            _bits.AsSpan(0, words).Clear();
            Mark(_bits, 0, _prefix);
        }

        if (!Mark(_bits, start, count))
            return false;
        _covered += count;
        return true;
    }

    private static bool Mark(ulong[] bits, long start, long count)
    {
        bool fresh = true;
        while (count > 0)
        {
            int bit = (int)(start & 63);
            int here = (int)Math.Min(64 - bit, count);
            ulong mask = (here == 64 ? ulong.MaxValue : (1UL << here) - 1) << bit;
            ref ulong word = ref bits[start >> 6];
            fresh &= (word & mask) == 0;
            word |= mask;
            start += here;
            count -= here;
        }

        return fresh;
    }
}
