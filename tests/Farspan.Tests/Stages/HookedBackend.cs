using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Stages;

/// <summary>
/// A store in memory that tells of flushes and writes before they begin. While it is held it is as a remote one that is slow: a write that is cancelled is
/// carried out all the same, later.
/// </summary>
internal sealed class HookedBackend(long length) : Stage(new MemoryBackend(length))
{
    private readonly List<(long Offset, byte[] Bytes)> _late = [];
    private readonly TaskCompletionSource _free = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _held;

    public Func<ValueTask>? Flushing { get; set; }

    public Action? Writing { get; set; }

    public int HeldWrites => Volatile.Read(ref _held);

    /// <summary>Whether writes wait until <see cref="Free"/>.</summary>
    public bool IsHeld { get; init; }

    public void Free() => _free.TrySetResult();

    /// <summary>Carries out what was cancelled.</summary>
    public async Task ReleaseAsync()
    {
        foreach (var (offset, bytes) in _late)
            await base.WriteAsync(offset, bytes);
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
        if (IsHeld && !_free.Task.IsCompleted)
        {
            Interlocked.Increment(ref _held);
            try
            {
                await _free.Task.WaitAsync(cancellationToken);
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
