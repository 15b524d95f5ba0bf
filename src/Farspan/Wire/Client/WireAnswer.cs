using System.Buffers;
using Farspan.Backends;

namespace Farspan.Wire.Client;

/// <summary>Where what a reply tells beyond success is put.</summary>
internal sealed class WireAnswer
{
    private byte[]? _rented;
    private int _length;

    public long Epoch { get; set; }

    public long Offset { get; set; }

    public List<Extent> Extents { get; } = [];

    public int ExtentLimit { get; init; }

    /// <summary>Of a request about a region that is being moved: the bounds of its reply's payload.</summary>
    public int LeastPayload { get; init; }

    /// <inheritdoc cref="LeastPayload"/>
    public int MostPayload { get; init; }

    /// <summary>Whether the seeder refuses.</summary>
    public bool IsRefused { get; set; }

    /// <summary>Whether a payload came that did not go into the request's buffer.</summary>
    public bool HasPayload => _rented is not null;

    /// <summary>That payload; until it is given back.</summary>
    public ReadOnlySpan<byte> Payload => _rented.AsSpan(0, _length);

    /// <summary>Room for a payload, which is within the bounds.</summary>
    public Memory<byte> Rent(int length)
    {
        _rented = ArrayPool<byte>.Shared.Rent(length);
        _length = length;
        return _rented.AsMemory(0, length);
    }

    /// <summary>Gives the payload back; once the request has ended.</summary>
    public void Return()
    {
        if (_rented is not null)
            ArrayPool<byte>.Shared.Return(_rented);
        _rented = null;
    }
}
