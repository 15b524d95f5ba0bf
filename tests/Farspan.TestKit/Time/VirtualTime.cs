namespace Farspan.TestKit.Time;

/// <summary>
/// Runs asynchronous code on one thread in virtual time: when nothing is left to run, the clock moves to the next timer. The same code takes
/// the same steps in every run, and a day passes in no time.
/// </summary>
public static class VirtualTime
{
    /// <summary>Runs <paramref name="body"/> to its end.</summary>
    /// <exception cref="InvalidOperationException">It waits for something that never comes, or work came from another thread.</exception>
    public static void Run(Func<VirtualTimeProvider, Task> body)
    {
        var clock = new VirtualTimeProvider();
        var scheduler = new VirtualTaskScheduler();
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            var main = Task.Factory.StartNew(() => body(clock), CancellationToken.None, TaskCreationOptions.None, scheduler).Unwrap();
            while (!main.IsCompleted)
            {
                if (!scheduler.TryRunOne() && !clock.AdvanceToNextTimer())
                    throw new InvalidOperationException($"At {clock.Now} nothing is left to run and no timer is set: the body waits forever, or has left the scheduler (ConfigureAwait(false), Task.Run).");
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
