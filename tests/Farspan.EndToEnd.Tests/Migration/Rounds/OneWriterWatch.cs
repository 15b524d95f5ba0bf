using Farspan.Migration;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>Looks at the records of both hosts all the time: at no moment may both say that their host may write.</summary>
internal sealed class OneWriterWatch : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _looking;
    private volatile string? _seen;
    private long _looks;

    public OneWriterWatch(RoundHost one, RoundHost other) => _looking = LookAsync(one, other);

    /// <summary>What was seen that must not be; null for nothing.</summary>
    public string? Seen => _seen;

    public long Looks => Interlocked.Read(ref _looks);

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _looking;
        _ended.Dispose();
    }

    // A record that is the same before and after the other one was read was so at that moment, too.
    private async Task LookAsync(RoundHost one, RoundHost other)
    {
        while (!_ended.IsCancellationRequested)
        {
            var (before, between, after) = (one.Record, other.Record, one.Record);
            if (before == after && before.MayWrite && between.MayWrite)
                _seen ??= $"both may write: {one.Name} has {Text(before)}, {other.Name} has {Text(between)}";
            Interlocked.Increment(ref _looks);
            await Task.Delay(2, _ended.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static string Text(RegionRecord record) => $"{record.Role} of epoch {record.Epoch}";
}
