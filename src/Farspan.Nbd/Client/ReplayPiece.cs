namespace Farspan.Nbd.Client;

/// <summary>A part of a write that is to be written again.</summary>
internal readonly record struct ReplayPiece(UnflushedWrite Write, long Offset, long Length)
{
    public bool IsZero => Write.Data.IsEmpty;

    public ReadOnlyMemory<byte> Data => Write.Data.Slice((int)(Offset - Write.Offset), (int)Length);
}
