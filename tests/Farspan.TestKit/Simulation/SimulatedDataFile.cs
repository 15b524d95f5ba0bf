using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>The data file of a <see cref="SimulatedDisk"/>, as one process has it open.</summary>
internal sealed class SimulatedDataFile(SimulatedDisk disk, string name, SimulatedFile file) : IBackend, ITrim
{
    private readonly int _life = disk.Life;

    public long Length => file.Length;

    public bool IsReadOnly => false;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        await disk.EnterAsync(_life);
        file.Read(offset, buffer.Span);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        await disk.EnterAsync(_life);
        disk.Write(file, offset, buffer.Span);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        await disk.EnterAsync(_life);
        disk.Sync(name, file);

        // The answer takes its time too: what is written meanwhile is not covered.
        await disk.EnterAsync(_life);
    }

    public async ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, length);
        await disk.EnterAsync(_life);
        file.Punch(offset, length);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    public ValueTask DisposeAsync() => default;
}
