using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>An open <c>/dev/fuse</c>: whole requests come out, whole replies go in.</summary>
internal sealed unsafe class FuseDevice(SafeDescriptor descriptor) : IFuseChannel, IDisposable
{
    // The number is used bare on the hot path: the session disposes the device only after every thread and reply has ended.
    private readonly int _number = descriptor.Number;
    private readonly Lock _lock = new();
    private bool _isDisposed;

    public SafeDescriptor Descriptor { get; } = descriptor;

    /// <summary>
    /// Opens the connection once more, for reads that do not wait; null where the kernel or the user's rights do not allow it. What is read from
    /// one opening is answered there.
    /// </summary>
    public FuseDevice? TryOpenLookout()
    {
        var clone = new SafeDescriptor(Libc.Open(DirectMounter.Device, Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NONBLOCK, 0));
        uint number = (uint)_number;
        if (!clone.IsInvalid && Libc.Ioctl(clone, FuseProtocol.FUSE_DEV_IOC_CLONE, (nint)(&number)) == 0)
            return new FuseDevice(clone);
        clone.Dispose();
        return null;
    }

    /// <summary>Waits for a request, where the opening does; its length, or the negated errno.</summary>
    public int Receive(byte* buffer, int capacity)
    {
        nint length = Libc.Read(_number, buffer, (nuint)capacity);
        return length >= 0 ? (int)length : -(int)LinuxError.Last;
    }

    /// <summary>Waits until the connection has ended, for a second at most. It is to be ending already.</summary>
    public void WaitForEnd()
    {
        // An end is an error condition, which is reported whatever is asked for.
        var entry = new PollEntry { Descriptor = _number };
        while (Libc.Poll(&entry, 1, 1000) < 0 && LinuxError.Last == Errno.EINTR)
        {
        }
    }

    public Errno Send(byte* start, int length)
        => Libc.Write(_number, start, (nuint)length) == length ? Errno.Ok : LinuxError.Last;

    public Errno SendVector(IoVector* vectors, int count)
        => Libc.WriteVector(_number, vectors, count) >= 0 ? Errno.Ok : LinuxError.Last;

    /// <summary>
    /// Ends the connection for the kernel, which fails everything that programs still wait for. Replies may still be sent: they go nowhere.
    /// A thread inside <see cref="Receive"/> keeps the connection until it leaves.
    /// </summary>
    public void Abort()
    {
        lock (_lock)
        {
            if (_isDisposed)
                return;
            // The number must not become another file's while operations that never ended may still reply on it.
            using var nothing = new SafeDescriptor(Libc.Open("/dev/null", Libc.O_RDWR | Libc.O_CLOEXEC, 0));
            if (nothing.IsInvalid || Libc.Replace(nothing, _number, Libc.O_CLOEXEC) < 0)
                throw LinuxError.Exception(LinuxError.Last, "replacing the FUSE device by /dev/null");
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            Descriptor.Dispose();
        }
    }
}
