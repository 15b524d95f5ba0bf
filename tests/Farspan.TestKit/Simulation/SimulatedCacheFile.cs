using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>A file of a <see cref="SimulatedDisk"/> that grows, as one process has it open.</summary>
internal sealed class SimulatedCacheFile(SimulatedDisk disk, string name, SimulatedFile file) : ICacheFile
{
    private readonly int _life = disk.Life;

    public long Length => file.Length;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        await disk.EnterAsync(_life);
        if (offset + buffer.Length > file.Length)
            throw new BackendException(BackendError.InputOutput, "The simulated file ends before.");
        file.Read(offset, buffer.Span);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        await disk.EnterAsync(_life);
        disk.BeginAppending(file);
        disk.Write(file, offset, buffer.Span);
    }

    public async ValueTask SetLengthAsync(long length)
    {
        await disk.EnterAsync(_life);
        file.SetLength(length);
    }

    public async ValueTask FlushAsync()
    {
        await disk.EnterAsync(_life);
        disk.Sync(name, file);
    }

    public ValueTask DisposeAsync() => default;
}
