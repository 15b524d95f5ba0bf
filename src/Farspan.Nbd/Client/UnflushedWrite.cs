namespace Farspan.Nbd.Client;

/// <summary>A write, or a zeroing, that no flush has covered yet, and where its bytes are kept. Used again; belongs to <see cref="UnflushedWrites"/>.</summary>
internal sealed class UnflushedWrite
{
    public long Offset { get; set; }

    public long Length { get; set; }

    /// <summary>The bytes; empty for a zeroing.</summary>
    public Memory<byte> Data { get; set; }

    /// <summary>For a zeroing: whether storage stays allocated.</summary>
    public bool KeepsAllocated { get; set; }

    /// <summary>Senders that read the bytes at this moment; the room is not given up before they are done.</summary>
    public int Senders { get; set; }

    /// <summary>Place in the order of acknowledgements, from 1; 0 while the write is on its way.</summary>
    public long Sequence { get; set; }

    /// <summary>Whether its room can be given up.</summary>
    public bool IsOver { get; set; }

    /// <summary>Where its room starts in the ring.</summary>
    public int Start { get; set; }

    /// <summary>Bytes of room that it takes up.</summary>
    public int Room { get; set; }
}
