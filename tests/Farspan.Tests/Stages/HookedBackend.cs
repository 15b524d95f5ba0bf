using Farspan.Backends;
using Farspan.Stages;
using Farspan.Waiting;

namespace Farspan.Tests.Stages;

/// <summary>
/// A store in memory that tells of calls before they begin. While it is held it is as a remote one that is slow: a write that is cancelled is carried out all
/// the same, later.
/// </summary>
internal sealed class HookedBackend(long length) : Stage(new MemoryBackend(length))
{
    private readonly List<(long Offset, byte[] Bytes)> _late = [];
    private readonly Signal _free = new();
    private int _held;

    public Func<ValueTask>? Flushing { get; set; }

    public Action? Writing { get; set; }

    public Func<ValueTask>? Reading { get; set; }

    public int HeldWrites => Volatile.Read(ref _held);

    /// <summary>Whether writes wait until <see cref="Free"/>.</summary>
    public bool IsHeld { get; set; }

    public void Free()
    {
        IsHeld = false;
        _free.Set();
    }

    /// <summary>Carries out what was cancelled.</summary>
    public async Task ReleaseAsync()
    {
        foreach (var (offset, bytes) in _late)
            await base.WriteAsync(offset, bytes);
    }

    public override async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Reading is { } reading)
            await reading();
        await base.ReadAsync(offset, buffer, cancellationToken);
    }

    public override async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        if (Flushing is { } flushing)
            await flushing();
        await base.FlushAsync(cancellationToken);
    }

    public override async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Writing?.Invoke();
        if (IsHeld)
        {
            Interlocked.Increment(ref _held);
            try
            {
                await _free.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                _late.Add((offset, buffer.ToArray()));
                throw;
            }
        }

        await base.WriteAsync(offset, buffer, cancellationToken);
    }
}
