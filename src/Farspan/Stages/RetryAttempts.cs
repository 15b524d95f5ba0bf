using Farspan.Backends;
using Polly;

namespace Farspan.Stages;

/// <summary>A call of a <see cref="RetryStage"/> whose first attempt did not succeed at once.</summary>
internal sealed class RetryAttempts(
    InnerBackend inner, StageCall call, ValueTask first, CancellationTokenSource firstSource, List<Extent>? scratch)
{
    private ValueTask _first = first;
    private bool _firstIsUsed;

    /// <summary>Under which the attempts travel through the pipeline.</summary>
    public static ResiliencePropertyKey<RetryAttempts> Key { get; } = new("farspan.retry");

    public StageCall Call { get; } = call;

    /// <summary>Cancels the first attempt, which began before there was a pipeline.</summary>
    public CancellationTokenSource FirstSource { get; } = firstSource;

    public List<Extent>? Scratch { get; } = scratch;

    public Action<RetryReport>? OnRetry { get; set; }

    public BackendException? LastFailure { get; private set; }

    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        if (_firstIsUsed)
        {
            Scratch?.Clear();
            await Call.StartAsync(inner, cancellationToken);
            return;
        }

        _firstIsUsed = true;
        var attempt = _first;
        _first = default;
        await using (cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), FirstSource))
            await attempt;
    }

    /// <summary>Ends the first attempt where the pipeline never came to it: it uses the caller's buffer, and began before there was a pipeline.</summary>
    public async ValueTask EndFirstAsync()
    {
        if (_firstIsUsed)
            return;
        _firstIsUsed = true;
        FirstSource.Cancel();
        try
        {
            await _first;
        }
        catch (Exception error) when (error is OperationCanceledException or BackendException)
        {
            // The caller is told of its own cancellation.
        }
    }

    public void Report(int retry, TimeSpan delay, BackendException failure)
    {
        LastFailure = failure;
        OnRetry?.Invoke(new RetryReport(Call.Operation, Call.Offset, Call.Length, retry, delay, failure));
    }
}
