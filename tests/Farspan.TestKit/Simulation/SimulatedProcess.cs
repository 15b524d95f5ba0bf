using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// The life of a program that can be killed at any moment: whatever comes back to it afterwards, replies, timers, finished writes, never
/// arrives. What it had sent goes on.
/// </summary>
internal sealed class SimulatedProcess
{
    /// <summary>Whether it has been killed.</summary>
    public bool IsDead { get; private set; }

    public void Kill() => IsDead = true;

    public IBackend Bind(IBackend remote) => new ProcessBackend(this, remote);

    public IChunkCache Bind(IChunkCache cache) => new ProcessCache(this, cache);

    public TimeProvider Bind(TimeProvider clock) => new ProcessClock(this, clock);

    /// <summary>Makes a call and returns when it has ended, in whatever way; never where the process is dead by then, and makes none once it is.</summary>
    public async ValueTask ReturnAsync(Func<ValueTask> call)
    {
        try
        {
            if (IsDead)
                await ForeverAsync();
            await call();
        }
        finally
        {
            if (IsDead)
                await ForeverAsync();
        }
    }

    private static Task ForeverAsync() => new TaskCompletionSource().Task;
}
