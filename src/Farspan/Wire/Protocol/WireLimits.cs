using System.Security.Cryptography;
using System.Text;

namespace Farspan.Wire.Protocol;

/// <summary>The numbers that both sides of the wire rely on.</summary>
internal static class WireLimits
{
    public const ushort Version = 1;
    public const int DefaultPort = 10900;

    /// <summary>The longest export name, in bytes of UTF-8.</summary>
    public const int MaximumName = 4096;

    /// <summary>The longest message that goes with an error, in bytes of UTF-8.</summary>
    public const int MaximumMessage = 1024;

    /// <summary>The longest text of who takes a lease, in bytes of UTF-8.</summary>
    public const int MaximumHolder = 256;

    /// <summary>The most payload that either side may be set to.</summary>
    public const int MaximumPayload = 32 << 20;

    /// <summary>The most requests in flight on one connection.</summary>
    public const int MaximumInFlight = 1024;

    /// <summary>The most extents of one reply.</summary>
    public const int MaximumExtents = 4096;

    /// <summary>The most runs of one page of a list of changed chunks.</summary>
    public const int MaximumRuns = 4096;

    /// <summary>The most bytes of which one request may ask the digests, unless one chunk has more.</summary>
    public const int MaximumDigested = 64 << 20;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The most chunks of which one request may ask the digests.</summary>
    public static int MaximumDigests(int chunkSize, int maximumPayload)
        => Math.Min(Math.Max(1, MaximumDigested / chunkSize), maximumPayload / SHA256.HashSizeInBytes);

    /// <summary>UTF-8 of a text, cut to <paramref name="limit"/> bytes between two characters.</summary>
    public static byte[] Encode(string text, int limit)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length <= limit)
            return bytes;
        int end = limit;
        while (end > 0 && (bytes[end] & 0xC0) == 0x80)
            end--;
        return bytes[..end];
    }

    /// <summary>The text, or null where the bytes are no UTF-8.</summary>
    public static string? Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}
