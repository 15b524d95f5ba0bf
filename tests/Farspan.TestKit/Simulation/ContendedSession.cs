using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.TestKit.Simulation;

/// <summary>One life of a <see cref="ContendedHost"/>: its process and its mount, and whether the remote is somebody else's by now.</summary>
internal sealed class ContendedSession(SimulatedProcess process, SimulatedTruth truth, Random random, TimeProvider clock)
{
    public SimulatedProcess Process => process;

    public ManagedBackend Mount { get; set; } = null!;

    /// <summary>Whether another could write since: what this mount does from then on concerns nobody else, and must not reach the remote.</summary>
    public bool IsDetached { get; set; }

    /// <summary>Whether its clients shall end.</summary>
    public bool IsEnding { get; set; }

    /// <summary>Writes that were acknowledged by a mount that did not know yet that its lease was lost.</summary>
    public int WritesInVain { get; private set; }

    /// <summary>Reads, writes and flushes at random in one part of the region, until the session ends.</summary>
    public async Task UseAsync(int from, int end)
    {
        while (!IsEnding && !process.IsDead)
        {
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(1 << random.Next(1, 12))), clock);
                await StepAsync(random.Next(from, end), end);
            }
            catch (BackendException error) when (error.Error is BackendError.TimedOut or BackendError.Disconnected or BackendError.Fenced)
            {
                // The line is down, or the lease is lost.
            }
        }
    }

    private Task StepAsync(int offset, int end)
    {
        int length = Math.Min(end - offset, 1 + random.Next(1 << random.Next(1, 14)));
        switch (random.Next(8))
        {
            case < 3:
                byte[] bytes = new byte[length];
                random.NextBytes(bytes);
                return ChangeAsync(offset, bytes, () => Mount.WriteAsync(offset, bytes));
            case 3:
                return ChangeAsync(offset, new byte[length], () => Mount.ZeroAsync(offset, length));
            case 4 or 5:
                return FlushAsync();
            default:
                return ReadAsync(offset, new byte[length]);
        }
    }

    private async Task ReadAsync(int offset, byte[] buffer)
    {
        await process.ReturnAsync(() => Mount.ReadAsync(offset, buffer));
        if (!IsDetached)
            truth.CheckRead(offset, buffer);
    }

    private async Task ChangeAsync(int offset, byte[] bytes, Func<ValueTask> change)
    {
        var step = IsDetached ? null : truth.Begin(offset, bytes.Length, bytes);
        bool isAcknowledged = false;
        try
        {
            await process.ReturnAsync(change);
            isAcknowledged = true;
            if (IsDetached)
                WritesInVain++;
        }
        finally
        {
            if (step is not null)
                truth.End(step, isAcknowledged && !IsDetached);
        }
    }

    private async Task FlushAsync()
    {
        int writesInVain = WritesInVain;
        var covered = IsDetached ? null : truth.BeginFlush();
        await process.ReturnAsync(() => Mount.FlushAsync());
        if (covered is not null && !IsDetached)
            truth.EndFlush(covered);
        if (writesInVain > 0)
            throw new InvalidOperationException("A mount whose lease was lost has completed a flush of what it wrote since.");
    }
}
