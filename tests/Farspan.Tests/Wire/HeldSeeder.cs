using Farspan.Migration;

namespace Farspan.Tests.Wire;

/// <summary>A seeder whose calls wait while they are held, before they are made or once they have been.</summary>
internal sealed class HeldSeeder(ISeeder inner) : ISeeder
{
    private volatile TaskCompletionSource? _hold;
    private TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _calls;
    private int _lists;

    public SeederDescription Description => inner.Description;

    /// <summary>Whether what is held has been made before it waits.</summary>
    public bool HoldsReplies { get; set; }

    public int Calls => Volatile.Read(ref _calls);

    public int Lists => Volatile.Read(ref _lists);

    /// <summary>Completes once a call waits.</summary>
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

    public ValueTask<SeederReply> AskAsync(SeederRequest request, CancellationToken cancellationToken = default)
        => CallAsync(() => inner.AskAsync(request, cancellationToken), cancellationToken);

    public ValueTask<bool> ReadAsync(SeederRequest request, long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => CallAsync(() => inner.ReadAsync(request, offset, buffer, cancellationToken), cancellationToken);

    public ValueTask<bool> DigestAsync(SeederRequest request, long firstChunk, Memory<byte> digests, CancellationToken cancellationToken = default)
        => CallAsync(() => inner.DigestAsync(request, firstChunk, digests, cancellationToken), cancellationToken);

    public ValueTask<ChangedPage?> ListAsync(SeederRequest request, long firstChunk, int limit, CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _lists);
        return CallAsync(() => inner.ListAsync(request, firstChunk, limit, cancellationToken), cancellationToken);
    }

    private async ValueTask<T> CallAsync<T>(Func<ValueTask<T>> call, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _calls);
        if (!HoldsReplies)
            await WaitAsync(cancellationToken);
        var reply = await call();
        if (HoldsReplies)
            await WaitAsync(cancellationToken);
        return reply;
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        if (_hold is not { } hold)
            return;
        _entered.TrySetResult();
        await hold.Task.WaitAsync(cancellationToken);
    }
}
