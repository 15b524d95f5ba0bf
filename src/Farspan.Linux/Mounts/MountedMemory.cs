using System.Buffers;
using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Mounts;

/// <summary>
/// A mounted file as memory of this process; another process serves it. What is written here, through the file, or by other programs, is seen
/// everywhere at once, and is durable after a flush.
/// </summary>
/// <remarks>
/// <para><see cref="Read"/>, <see cref="Write"/> and <see cref="PrefetchAsync"/> turn every failure into an exception. A span from
/// <see cref="Slice"/> is memory itself: its pages come when they are touched, and where the remote fails to bring one, the process ends with
/// SIGBUS, as with any mapped file.</para>
/// <para>Spans must not be used after the memory or its mount is closed; it is unmapped once no handle pins it. Other members are thread-safe.</para>
/// </remarks>
public sealed class MountedMemory : IDisposable
{
    private readonly SafeDescriptor _file;
    private readonly SafeMapping _mapping;
    private readonly string _path;
    private readonly bool _isReadOnly;
    private readonly FileWorkers _workers;
    private readonly Action<IDisposable> _closed;

    internal MountedMemory(SafeDescriptor file, string path, long length, bool isReadOnly, FileWorkers workers, Action<IDisposable> closed)
    {
        _file = file;
        _path = path;
        _isReadOnly = isReadOnly;
        _workers = workers;
        _closed = closed;
        Length = length;
        try
        {
            _mapping = SafeMapping.Create(file, path, length, isReadOnly);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Number of bytes.</summary>
    public long Length { get; }

    /// <summary>Fills all of <paramref name="destination"/> with the bytes from <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="BackendException">The remote failed.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        BackendRange.Check(Length, offset, destination.Length);
        FileTransferCalls.Read(_file, _path, offset, destination);
    }

    /// <summary>Writes all of <paramref name="source"/> from <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="BackendException">The remote failed, or the mount is for reading only.</exception>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        BackendRange.Check(Length, offset, source.Length);
        FileTransferCalls.Write(_file, _path, offset, source);
    }

    /// <summary>Hands out a range as memory: its span is the mapped bytes themselves, of which each page comes when it is first touched.</summary>
    /// <remarks>Where the mount is for reading only, writing into it ends the process.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="ObjectDisposedException">The memory is closed.</exception>
    public Memory<byte> Slice(long offset, int length)
    {
        BackendRange.Check(Length, offset, length);
        ObjectDisposedException.ThrowIf(_mapping.IsClosed, this);
        return new MappedSlice(_mapping, offset, length).Memory;
    }

    /// <summary>Brings a range here ahead of its use. What is here stays until the system needs the room.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the memory.</exception>
    /// <exception cref="BackendException">The remote failed to bring it.</exception>
    public Task PrefetchAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        return _workers.RunAsync(() => Populate(offset, length), cancellationToken);
    }

    /// <summary>Returns once everything that was written, by whomever and in whatever form, is durable at the remote.</summary>
    /// <exception cref="BackendException">The remote failed; what was written stays here, and another flush tries again what it can.</exception>
    public void Flush()
    {
        if (_isReadOnly)
            return;
        _mapping.Sync(_path);
        FileTransferCalls.Sync(_file, _path);
    }

    /// <inheritdoc cref="Flush"/>
    public Task FlushAsync(CancellationToken cancellationToken = default) => _workers.RunAsync(Flush, cancellationToken);

    /// <summary>Unmaps; what was written and not flushed is written back, and reported when the mount is closed.</summary>
    public void Dispose()
    {
        _mapping.Dispose();
        _file.Dispose();
        _closed(this);
    }

    private void Populate(long offset, long length)
    {
        // In steps, so that closing and cancelling do not wait for a whole region.
        const long step = 8 << 20;
        for (long at = offset; at < offset + length; at += step)
            _mapping.Populate(_path, at, Math.Min(step, offset + length - at));
    }

    /// <summary>A part of the mapping that fits into a span.</summary>
    private sealed unsafe class MappedSlice(SafeMapping mapping, long offset, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan()
        {
            ObjectDisposedException.ThrowIf(mapping.IsClosed, typeof(MountedMemory));
            return new Span<byte>(mapping.Start + offset, length);
        }

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length, nameof(elementIndex));
            bool isHeld = false;
            mapping.DangerousAddRef(ref isHeld);
            return new MemoryHandle(mapping.Start + offset + elementIndex, pinnable: this);
        }

        public override void Unpin() => mapping.DangerousRelease();

        protected override void Dispose(bool disposing)
        {
            // The mapping belongs to the MountedMemory.
        }
    }
}
