namespace Farspan.Wire.Protocol;

/// <summary>
/// The payload of LEASE_ACQUIRE.
/// <code>
///  0 16  key: the holder's secret; asking again in the same session gives the same epoch, in another session a new one, which ends the old one
/// 16  n  who takes it, in UTF-8
/// </code>
/// </summary>
internal readonly record struct LeaseRequest(Guid Key, string Holder)
{
    private const int KeySize = 16;

    /// <summary>False where the bytes are no such payload.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out LeaseRequest request)
    {
        request = default;
        if (source.Length is < KeySize or > KeySize + WireLimits.MaximumHolder || WireLimits.Decode(source[KeySize..]) is not { } holder)
            return false;
        request = new LeaseRequest(new Guid(source[..KeySize]), holder);
        return request.Key != Guid.Empty;
    }

    public byte[] ToBytes() => [.. Key.ToByteArray(), .. WireLimits.Encode(Holder, WireLimits.MaximumHolder)];
}
