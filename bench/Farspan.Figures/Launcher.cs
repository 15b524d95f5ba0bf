using System.Collections.Concurrent;
using System.Diagnostics;

namespace Farspan.Figures;

/// <summary>
/// Starts processes from one thread that stays. nbdkit in the foreground asks the kernel to be ended with its parent, and that is the thread that
/// started it: a thread of the pool goes when it has been idle for a while, and the servers went with it in the middle of a figure.
/// </summary>
internal static class Launcher
{
    private static readonly BlockingCollection<Action> Work = Begin();

    /// <summary>Starts a program; throws what starting it throws.</summary>
    public static Process? Start(ProcessStartInfo info)
    {
        var started = new TaskCompletionSource<Process?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(info));
            }
            catch (Exception error)
            {
                started.SetException(error);
            }
        });
        return started.Task.GetAwaiter().GetResult();
    }

    private static BlockingCollection<Action> Begin()
    {
        var work = new BlockingCollection<Action>(boundedCapacity: 64);
        var thread = new Thread(() =>
        {
            foreach (var action in work.GetConsumingEnumerable())
                action();
        })
        {
            IsBackground = true,
            Name = "launcher",
        };
        thread.Start();
        return work;
    }
}
