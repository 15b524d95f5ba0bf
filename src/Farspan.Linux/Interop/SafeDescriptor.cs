using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>A file descriptor that is closed when disposed.</summary>
internal sealed class SafeDescriptor : SafeHandle
{
    public SafeDescriptor()
        : base(invalidHandleValue: -1, ownsHandle: true)
    {
    }

    public SafeDescriptor(int descriptor)
        : this()
        => SetHandle(descriptor);

    public override bool IsInvalid => handle == -1;

    /// <summary>The number; valid only while the caller keeps this object alive and undisposed.</summary>
    public int Number => (int)handle;

    // Linux frees the number even when close reports an error, so there is nothing to try again.
    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}
