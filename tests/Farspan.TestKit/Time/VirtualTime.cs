namespace Farspan.TestKit.Time;

/// <summary>
/// Runs asynchronous code on one thread in virtual time: when nothing is left to run, the clock moves to the next timer. The same code takes
/// the same steps in every run, and a day passes in no time.
/// </summary>
public static class VirtualTime
{
    /// <summary>Runs <paramref name="body"/> to its end, its tasks in the order in which they become ready.</summary>
    /// <exception cref="InvalidOperationException">It waits for something that never comes, or work came from another thread.</exception>
    public static void Run(Func<VirtualTimeProvider, Task> body) => Run(body, new VirtualTaskScheduler(), TimeSpan.MaxValue);

    /// <summary>Runs <paramref name="body"/> to its end, its tasks in an order that the seed picks.</summary>
    /// <param name="seed">Picks the order.</param>
    /// <param name="limit">The virtual time in which it has to end.</param>
    /// <param name="body">What to run.</param>
    /// <returns>A number that stands for all choices made: the same for the same seed and code.</returns>
    /// <exception cref="InvalidOperationException">It waits for something that never comes, or work came from another thread.</exception>
    public static ulong RunSeed(int seed, TimeSpan limit, Func<VirtualTimeProvider, Task> body)
    {
        var scheduler = new VirtualTaskScheduler(seed);
        Run(body, scheduler, limit);
        return scheduler.Fingerprint;
    }

    private static void Run(Func<VirtualTimeProvider, Task> body, VirtualTaskScheduler scheduler, TimeSpan limit)
    {
        var clock = new VirtualTimeProvider();
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            var main = Task.Factory.StartNew(() => body(clock), CancellationToken.None, TaskCreationOptions.None, scheduler).Unwrap();
            while (!main.IsCompleted)
            {
                if (!scheduler.TryRunOne() && !clock.AdvanceToNextTimer())
                    throw new InvalidOperationException($"At {clock.Now} nothing is left to run and no timer is set: the body waits forever, or has left the scheduler (ConfigureAwait(false), Task.Run).");
                if (clock.Now > limit)
                    throw new InvalidOperationException($"The body has not ended within {limit} of virtual time: it hangs.");
            }

            if (scheduler.ForeignCount != 0)
                throw new InvalidOperationException($"{scheduler.ForeignCount} steps were queued from other threads.");
            main.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }
}
