namespace Farspan.Transports;

/// <summary>
/// Waits on the system's clock to about a millisecond. The runtime's timers count in the kernel's coarse ticks of 4 ms and may even be early.
/// One background thread for the process, started with the first wait.
/// </summary>
internal static class PreciseTimer
{
    private static readonly object Gate = new();
    private static readonly PriorityQueue<TaskCompletionSource, long> Waiting = new();
    private static Thread? thread;

    /// <summary>Completes once <paramref name="due"/> has passed since the timestamp <paramref name="start"/>.</summary>
    public static Task WaitAsync(long start, TimeSpan due)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        long timestamp = start + (long)Math.Ceiling(due.Ticks * ((double)TimeProvider.System.TimestampFrequency / TimeSpan.TicksPerSecond));
        lock (Gate)
        {
            Waiting.Enqueue(done, timestamp);
            if (thread is null)
            {
                thread = new Thread(Run) { IsBackground = true, Name = "farspan line" };
                thread.UnsafeStart();
            }
            else if (Waiting.Peek() == done)
            {
                Monitor.Pulse(Gate);
            }
        }

        return done.Task;
    }

    private static void Run()
    {
        lock (Gate)
        {
            while (true)
            {
                if (!Waiting.TryPeek(out var next, out long due))
                {
                    Monitor.Wait(Gate);
                    continue;
                }

                var left = TimeProvider.System.GetElapsedTime(TimeProvider.System.GetTimestamp(), due);
                if (left > TimeSpan.Zero)
                {
                    Monitor.Wait(Gate, (int)Math.Min(int.MaxValue, Math.Ceiling(left.TotalMilliseconds)));
                    continue;
                }

                Waiting.Dequeue();
                next.SetResult();
            }
        }
    }
}
