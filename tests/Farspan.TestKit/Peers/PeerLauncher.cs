using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Farspan.TestKit.Peers;

/// <summary>
/// Starts processes from one thread that lives as long as the test run. Some programs (nbdkit in the foreground, nbdcopy's children) ask the
/// kernel to be ended with their parent, which to the kernel is the thread that started them: a test's own thread ends at any time.
/// </summary>
internal static class PeerLauncher
{
    private static readonly BlockingCollection<Action> Work = Begin();

    public static void Start(Process process)
    {
        using var done = new ManualResetEventSlim();
        Exception? failure = null;
        Work.Add(() =>
        {
            try
            {
                process.Start();
            }
            catch (Exception error)
            {
                failure = error;
            }

            done.Set();
        });
        done.Wait();
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);
    }

    private static BlockingCollection<Action> Begin()
    {
        var work = new BlockingCollection<Action>(boundedCapacity: 64);
        new Thread(() =>
        {
            foreach (var action in work.GetConsumingEnumerable())
                action();
        })
        {
            IsBackground = true,
            Name = "peer launcher",
        }.Start();
        return work;
    }
}
