using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Wire;

/// <summary>Memory whose writes and flushes wait while they are held.</summary>
internal sealed class HeldBackend(long length) : Stage(new MemoryBackend(length))
{
    private volatile TaskCompletionSource? _hold;
    private TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether calls wait on when they are cancelled.</summary>
    public bool IsStubborn { get; init; }

    /// <summary>Completes once something waits.</summary>
    public Task Entered => _entered.Task;

    public void Hold()
    {
        _entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public void Release()
    {
        var hold = _hold!;
        _hold = null;
        hold.SetResult();
    }

    public override async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await WaitAsync(cancellationToken);
        await base.WriteAsync(offset, buffer, CancellationToken.None);
    }

    public override async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await WaitAsync(cancellationToken);
        await base.ReadAsync(offset, buffer, CancellationToken.None);
    }

    private Task WaitAsync(CancellationToken cancellationToken)
    {
        if (_hold is not { } hold)
            return Task.CompletedTask;
        _entered.TrySetResult();
        return hold.Task.WaitAsync(IsStubborn ? CancellationToken.None : cancellationToken);
    }
}
