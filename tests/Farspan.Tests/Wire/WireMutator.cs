using System.Buffers.Binary;
using Farspan.Checksums;
using Farspan.Wire.Protocol;

namespace Farspan.Tests.Wire;

/// <summary>
/// Makes wrong conversations of a right one. Most changes are in headers, which are few among the bytes of payloads, and half of the
/// conversations have the checksums of headers put right again, so that what is behind those is met.
/// </summary>
internal sealed class WireMutator
{
    private static readonly long[] Interesting =
        [0, 1, 2, 3, 47, 48, 80, 0x7f, 0xff, 0xfff, 0x1000, 0x1001, 0xffff, 0x10000, 1 << 20, int.MaxValue, uint.MaxValue, 1L << 32, long.MaxValue, long.MinValue, -1];

    private readonly byte[] _whole;
    private readonly byte[] _changed;
    private readonly Random _random;
    private readonly List<(int Start, int Size)> _headers = [];

    public WireMutator(byte[] whole, Random random)
    {
        (_whole, _changed, _random) = (whole, new byte[whole.Length], random);
        for (int at = 0; at < whole.Length; at++)
        {
            var rest = whole.AsSpan(at);
            if (ServerHello.TryRead(rest, out _))
                _headers.Add((at, ServerHello.Size));
            else if (ClientHello.TryRead(rest, out _))
                _headers.Add((at, ClientHello.Size));
            else if (WireFrame.TryReadRequest(rest, out _) || WireFrame.TryReadReply(rest, out _))
                _headers.Add((at, WireFrame.Size));
        }
    }

    /// <summary>A changed conversation, which may also be cut; it holds until the next.</summary>
    public ReadOnlyMemory<byte> Next()
    {
        _whole.CopyTo(_changed, 0);
        for (int changes = 1 + _random.Next(3); changes > 0; changes--)
            Change();
        if (_random.Next(2) == 0)
            PutChecksumsRight();
        return _changed.AsMemory(0, _random.Next(4) == 0 ? _random.Next(_changed.Length) : _changed.Length);
    }

    private void Change()
    {
        var place = _changed.AsSpan();
        if (_random.Next(4) > 0)
        {
            var (start, size) = _headers[_random.Next(_headers.Count)];
            place = place.Slice(start, size);
        }

        int at = _random.Next(place.Length);
        switch (_random.Next(3))
        {
            case 0:
                place[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1:
                _random.NextBytes(place.Slice(at, Math.Min(_random.Next(1, 9), place.Length - at)));
                break;
            default:
                // A field, which begins at a multiple of its length.
                int length = 2 << _random.Next(3);
                Span<byte> number = stackalloc byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(number, Interesting[_random.Next(Interesting.Length)]);
                at -= at % length;
                length = Math.Min(length, place.Length - at);
                number[..length].CopyTo(place[at..]);
                break;
        }
    }

    private void PutChecksumsRight()
    {
        foreach (var (start, size) in _headers)
        {
            var header = _changed.AsSpan(start, size);
            BinaryPrimitives.WriteUInt32LittleEndian(header[^4..], Crc32C.Compute(header[..^4]));
        }
    }
}
