namespace Farspan.Cli.Copying;

/// <summary>The memory of one copying worker; what is never asked for is never allocated.</summary>
internal sealed class CopyBuffers(int size)
{
    private byte[]? _source;
    private byte[]? _destination;
    private byte[]? _zeroes;

    /// <summary>Where source bytes are read to.</summary>
    public byte[] Source => _source ??= GC.AllocateUninitializedArray<byte>(size, pinned: true);

    /// <summary>Where destination bytes are read to.</summary>
    public byte[] Destination => _destination ??= GC.AllocateUninitializedArray<byte>(size, pinned: true);

    /// <summary>Zeroes.</summary>
    public byte[] Zeroes => _zeroes ??= GC.AllocateArray<byte>(size, pinned: true);
}
