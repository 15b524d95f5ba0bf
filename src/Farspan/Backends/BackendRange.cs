using System.Runtime.CompilerServices;

namespace Farspan.Backends;

/// <summary>The one check of a range against a backend's length.</summary>
public static class BackendRange
{
    /// <summary>Throws unless <c>[offset, offset + length)</c> lies inside <c>[0, backendLength)</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(long backendLength, long offset, long length)
    {
        if (!Contains(backendLength, offset, length))
            Throw(backendLength, offset, length);
    }

    /// <summary>Whether <c>[offset, offset + length)</c> lies inside <c>[0, backendLength)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Contains(long backendLength, long offset, long length)
        => (offset | length) >= 0 && offset <= backendLength - length;

    private static void Throw(long backendLength, long offset, long length)
        => throw new ArgumentOutOfRangeException(
            nameof(offset), $"The range of {length} bytes at offset {offset} is not inside the backend's {backendLength} bytes.");
}
