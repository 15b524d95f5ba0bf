using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>A write or zeroing that the server may have to be given again. Its fields belong to the link's gate, its bytes are not changed once written.</summary>
internal sealed class KeptWrite
{
    public long Offset { get; set; }

    public long Length { get; set; }

    public long Epoch { get; set; }

    /// <summary>Room for the request's header, and the bytes behind it; none for a zeroing.</summary>
    public Memory<byte> Whole { get; set; }

    public Memory<byte> Data => Whole[WireFrame.Size..];

    public uint Checksum { get; set; }

    /// <summary>For a zeroing: its mode.</summary>
    public ushort Mode { get; set; }

    public bool IsZero { get; set; }

    /// <summary>Its number among the acknowledged; 0 before.</summary>
    public long Sequence { get; set; }

    /// <summary>Whether it is flushed, or was never acknowledged: its room is free once it is the oldest and nobody sends from it.</summary>
    public bool IsOver { get; set; }

    /// <summary>Threads that send from it now.</summary>
    public int Pins { get; set; }

    public int Start { get; set; }

    public int Room { get; set; }
}
