using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>An open <c>/dev/fuse</c>: whole requests come out, whole replies go in.</summary>
internal sealed unsafe class FuseDevice(SafeDescriptor descriptor) : IFuseChannel, IDisposable
{
    // The number is used bare on the hot path: the session disposes the device only after every thread and reply has ended.
    private readonly int _number = descriptor.Number;

    public SafeDescriptor Descriptor { get; } = descriptor;

    /// <summary>Waits for a request; its length, or the negated errno.</summary>
    public int Receive(byte* buffer, int capacity)
    {
        nint length = Libc.Read(_number, buffer, (nuint)capacity);
        return length >= 0 ? (int)length : -(int)LinuxError.Last;
    }

    public Errno Send(byte* start, int length)
        => Libc.Write(_number, start, (nuint)length) == length ? Errno.Ok : LinuxError.Last;

    public Errno SendVector(IoVector* vectors, int count)
        => Libc.WriteVector(_number, vectors, count) >= 0 ? Errno.Ok : LinuxError.Last;

    public void Dispose() => Descriptor.Dispose();
}
