using System.Text.Unicode;

namespace Farspan.Nbd.Protocol;

/// <summary>The protocol's rule for strings: UTF-8, no NUL, at most <see cref="NbdConstants.MaximumStringLength"/> bytes.</summary>
internal static class NbdText
{
    public static bool IsValid(ReadOnlySpan<byte> text)
        => text.Length <= NbdConstants.MaximumStringLength && !text.Contains((byte)0) && Utf8.IsValid(text);
}
