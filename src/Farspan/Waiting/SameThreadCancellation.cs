namespace Farspan.Waiting;

/// <summary>Cancels on the caller's thread: <c>CancelAsync</c> hops over a thread of the pool, and with it out of a simulation.</summary>
internal static class SameThreadCancellation
{
    /// <summary>Cancels; the callbacks have run when this returns.</summary>
    public static void CancelHere(this CancellationTokenSource source) => source.Cancel();
}
