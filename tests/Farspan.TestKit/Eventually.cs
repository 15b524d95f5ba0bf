using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Farspan.TestKit;

/// <summary>Waits for what other threads or processes bring about and nothing tells of.</summary>
public static class Eventually
{
    /// <summary>Longer than anything takes on a machine that others use too.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <summary>Returns once the condition holds.</summary>
    /// <exception cref="TimeoutException">It does not come to hold.</exception>
    public static Task HoldsAsync(Func<bool> condition, [CallerArgumentExpression(nameof(condition))] string what = "")
        => HoldsAsync(() => Task.FromResult(condition()), what);

    /// <inheritdoc cref="HoldsAsync(Func{bool}, string)"/>
    public static async Task HoldsAsync(Func<Task<bool>> condition, [CallerArgumentExpression(nameof(condition))] string what = "")
    {
        for (long start = Stopwatch.GetTimestamp(); !await condition();)
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"It did not come to hold in {Patience.TotalSeconds:0} s: {what}");
            await Task.Delay(Pause);
        }
    }
}
