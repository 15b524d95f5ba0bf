using System.Runtime.InteropServices;

namespace Farspan.Linux.Files;

/// <summary>Native memory that starts at a multiple of 4 KiB or more, as O_DIRECT asks for.</summary>
internal sealed unsafe class AlignedBuffer : SafeHandle
{
    public AlignedBuffer(int length, int alignment)
        : base(invalidHandleValue: 0, ownsHandle: true)
    {
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)length, (nuint)alignment));
        Length = length;
    }

    public int Length { get; }

    public override bool IsInvalid => handle == 0;

    /// <summary>The start; valid while the caller keeps this object alive and undisposed.</summary>
    public byte* Start => (byte*)handle;

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
