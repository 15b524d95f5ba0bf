namespace Farspan.Stages;

/// <summary>One spare cancellation source a thread, so that a call which needs a token of its own but completes at once allocates none.</summary>
internal static class SpareCancellation
{
    [ThreadStatic]
    private static CancellationTokenSource? spare;

    public static CancellationTokenSource Take()
    {
        var source = spare ?? new CancellationTokenSource();
        spare = null;
        return source;
    }

    public static void Return(CancellationTokenSource source)
    {
        if (source.TryReset())
            spare = source;
        else
            source.Dispose();
    }
}
