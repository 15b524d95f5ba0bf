using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>
/// What the program has written and a kernel keeps: it comes to the backend while the program runs, so that rounds tell of it and little is left for the suspension.
/// </summary>
/// <remarks>The rules know nothing of it. It could have come by itself at that moment, or later: only a suspension waits until it has.</remarks>
internal sealed partial class Seeder
{
    private const int MostPasses = 4;
    private const double WorthwhilePart = 0.75;
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(10);

    private readonly RunningTasks _writingBack = new();
    private Signal? _writtenBack;
    private string? _keptBack;

    /// <summary>A round, or a session, that would begin without what was written before it.</summary>
    private static bool IsStock(SeederState before, SeederStep step) => step.TakesRound || step.State.LastSession != before.LastSession;

    /// <summary>Joins what goes on, or begins it. Under the gate; who began it calls <see cref="BeginWriteBack"/> outside of it.</summary>
    private bool JoinWriteBack(out Signal ended)
    {
        bool begins = _writtenBack is null;
        ended = _writtenBack ??= new Signal();
        return begins;
    }

    private void BeginWriteBack(Signal ended) => _writingBack.Run(static work => work.Seeder.WriteBackAsync(work.Ended), (Seeder: this, Ended: ended));

    // While it takes its time the program goes on, and writes: another pass has that only, until one is short.
    private async ValueTask WriteBackAheadAsync()
    {
        var last = TimeSpan.MaxValue;
        for (int pass = 0; pass < MostPasses; pass++)
        {
            long from = _options.Clock.GetTimestamp();
            Signal ended;
            bool begins;
            lock (_gate)
                begins = JoinWriteBack(out ended);
            if (begins)
                BeginWriteBack(ended);
            await ended.WaitAsync(_closing.Token);
            var took = _options.Clock.GetElapsedTime(from);
            if (took <= s_short || took >= WorthwhilePart * last || Volatile.Read(ref _keptBack) is not null)
                return;
            last = took;
        }
    }

    // What fails, or takes too long, is left for the suspension, where it counts.
    private async Task WriteBackAsync(Signal ended)
    {
        string? trouble = null;
        try
        {
            using var patience = new CancellationTokenSource(_options.WriteBackTimeout, _options.Clock);
            await using (_closing.Token.UnsafeRegister(static state => ((CancellationTokenSource)state!).CancelHere(), patience))
                await _host.WriteBackAsync(patience.Token);
        }
        catch (Exception failure)
        {
            trouble = $"Writing back while the program runs failed: {failure.Message}";
        }

        Volatile.Write(ref _keptBack, trouble);
        lock (_gate)
            _writtenBack = null;
        ended.Set();
    }
}
