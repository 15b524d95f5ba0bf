using Farspan.Backends;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace Farspan.Stages;

/// <summary>
/// Makes a call again that failed with a transient <see cref="BackendException"/>, after delays that grow, until it succeeds or its time is
/// over. Everything else passes through: misuse, cancellation, failures that are not transient.
/// </summary>
/// <remarks>
/// <para>A write may reach the store more than once, always with the same bytes and never after the call has completed, as long as the store
/// does not carry out later what it has failed. When the time is over the attempt under way is cancelled and awaited, since it uses the
/// caller's buffer: the call ends as soon as the store below honours that.</para>
/// <para>A call that succeeds at once, synchronously, allocates nothing. Thread-safe.</para>
/// </remarks>
public sealed class RetryStage : InterceptingStage
{
    private readonly RetryOptions _options;
    private readonly ResiliencePipeline _pipeline;

    /// <summary>Wraps <paramref name="inner"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public RetryStage(IBackend inner, RetryOptions? options = null)
        : base(inner)
    {
        _options = options ?? new RetryOptions();
        _options.Validate();
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = _options.Clock }
            .AddTimeout(_options.TotalTimeout)
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = static retry => ValueTask.FromResult(retry.Outcome.Exception is BackendException { IsTransient: true }),
                MaxRetryAttempts = _options.MaximumRetries,
                BackoffType = DelayBackoffType.Exponential,
                Delay = _options.FirstDelay,
                MaxDelay = _options.MaximumDelay,
                UseJitter = _options.Jitter,
                Randomizer = _options.Random,
                OnRetry = OnRetryAsync,
            })
            .Build();
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IMemoryLender) ? Inner.GetCapability<TCapability>() : base.GetCapability<TCapability>();

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);

        // A listing that fails half-way must leave nothing in the caller's collection.
        var scratch = call.Extents is null ? null : new List<Extent>();
        var attempts = scratch is null ? call : call.Into(scratch);
        var source = SpareCancellation.Take();
        var first = attempts.StartAsync(Below, source.Token);
        if (!first.IsCompletedSuccessfully)
            return RetryAsync(new RetryAttempts(Below, attempts, first, source, scratch), call.Extents, cancellationToken);
        SpareCancellation.Return(source);
        Copy(scratch, call.Extents);
        return first;
    }

    private static void Copy(List<Extent>? from, ICollection<Extent>? to)
    {
        if (from is null)
            return;
        foreach (var extent in from)
            to!.Add(extent);
    }

    private static ValueTask OnRetryAsync(OnRetryArguments<object> retry)
    {
        if (retry.Context.Properties.TryGetValue(RetryAttempts.Key, out var attempts) && retry.Outcome.Exception is BackendException failure)
            attempts.Report(retry.AttemptNumber + 1, retry.RetryDelay, failure);
        return default;
    }

    private async ValueTask RetryAsync(RetryAttempts attempts, ICollection<Extent>? extents, CancellationToken cancellationToken)
    {
        // The captured context keeps the attempts on the scheduler that the call was made on.
        var context = ResilienceContextPool.Shared.Get(continueOnCapturedContext: true, cancellationToken);
        context.Properties.Set(RetryAttempts.Key, attempts);
        attempts.OnRetry = _options.OnRetry;
        try
        {
            await _pipeline.ExecuteAsync(static (context, attempts) => attempts.RunAsync(context.CancellationToken), context, attempts);
            Copy(attempts.Scratch, extents);
        }
        catch (TimeoutRejectedException timeout)
        {
            throw new BackendException(
                BackendError.TimedOut,
                $"{attempts.Call} did not succeed within {_options.TotalTimeout.TotalSeconds:0.###} s: "
                + (attempts.LastFailure?.Message ?? "the store did not answer."),
                attempts.LastFailure ?? (Exception)timeout);
        }
        catch (OperationCanceledException cancelled) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancelled.Message, cancelled, cancellationToken);
        }
        finally
        {
            // Where the call was cancelled before the pipeline looked at it, the first attempt is still under way.
            await attempts.EndFirstAsync();
            ResilienceContextPool.Shared.Return(context);
            SpareCancellation.Return(attempts.FirstSource);
        }
    }
}
