using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Migration;

/// <summary>Calls to a seeder that end after a time, or with the leecher.</summary>
internal static class Patience
{
    /// <summary>Makes a call.</summary>
    /// <exception cref="BackendException">It took too long, the leecher is being closed, or what the call throws.</exception>
    public static async ValueTask<T> RunAsync<T>(
        Func<CancellationToken, ValueTask<T>> call, TimeSpan time, TimeProvider clock, CancellationToken closing)
    {
        using var expiry = new CancellationTokenSource(time, clock);
        try
        {
            await using (closing.UnsafeRegister(static state => ((CancellationTokenSource)state!).CancelHere(), expiry))
                return await call(expiry.Token);
        }
        catch (OperationCanceledException cancelled)
        {
            throw closing.IsCancellationRequested
                ? new BackendException(BackendError.ShuttingDown, "The leecher is being closed.", cancelled)
                : new BackendException(BackendError.TimedOut, $"The seeder has not answered for {time.TotalSeconds:0.###} s.", cancelled);
        }
    }
}
