using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Farspan.Linux.Userfaults;

/// <summary>Bytes on their way between a backend and a region; they never move, so that the kernel can be given their address.</summary>
internal sealed unsafe class FillBuffer
{
    private readonly byte[] _bytes;

    public FillBuffer(int length)
    {
        _bytes = GC.AllocateUninitializedArray<byte>(length, pinned: true);
        Start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_bytes));
    }

    public byte* Start { get; }

    public Memory<byte> Memory => _bytes;

    public Span<byte> Span => _bytes;
}
