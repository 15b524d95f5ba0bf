using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.TestKit.Simulation;

/// <summary>A program that uses a mount: reads, writes, trims, zeroes and flushes at random in its own part of the region.</summary>
internal sealed class SimulatedClient(
    SimulatedProcess process, ManagedBackend mount, SimulatedTruth truth, Random random, TimeProvider clock, int from, int end)
{
    /// <summary>Steps that failed because the remote did.</summary>
    public int Failures { get; private set; }

    public async Task RunAsync(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            try
            {
                await StepAsync();
            }
            catch (BackendException error) when (error.Error is BackendError.TimedOut or BackendError.Disconnected or BackendError.InputOutput or BackendError.NoSpace)
            {
                Failures++;
            }
        }
    }

    private async Task StepAsync()
    {
        int offset = random.Next(from, end);
        int length = Math.Min(end - offset, 1 + random.Next(1 << random.Next(1, 15)));
        switch (random.Next(20))
        {
            case < 7:
                byte[] bytes = new byte[length];
                random.NextBytes(bytes);
                await ChangeAsync(offset, length, bytes, () => mount.WriteAsync(offset, bytes));
                break;
            case 7 when mount.GetCapability<ITrim>() is { } trim:
                await ChangeAsync(offset, length, bytes: null, () => trim.TrimAsync(offset, length));
                break;
            case 8:
                await ChangeAsync(offset, length, new byte[length], () => mount.ZeroAsync(offset, length, random.Next(2) == 0 ? ZeroMode.None : ZeroMode.KeepAllocated));
                break;
            case 9 or 10:
                await FlushAsync();
                break;
            case 11:
                await Task.Delay(TimeSpan.FromSeconds(random.NextDouble() * 2), clock);
                break;
            case 12:
                await process.ReturnAsync(() => mount.ListExtentsAsync(offset, length, 100, new List<Extent>()));
                Look(offset, length);
                break;
            default:
                byte[] buffer = new byte[length];
                await process.ReturnAsync(() => mount.ReadAsync(offset, buffer));
                truth.CheckRead(offset, buffer);
                break;
        }
    }

    private async Task FlushAsync()
    {
        var covered = truth.BeginFlush();
        await process.ReturnAsync(() => mount.FlushAsync());
        truth.EndFlush(covered);
    }

    private void Look(int offset, int length)
    {
        foreach (var runs in new[] { mount.ListDirty(offset, length, 1000), mount.ListLocal(offset, length, 1000) })
        {
            if (runs.Sum(run => run.Length) != length || runs[0].Offset != offset)
                throw new InvalidOperationException($"The runs of {length} bytes at {offset} do not cover them.");
        }
    }

    private async Task ChangeAsync(int offset, int length, byte[]? bytes, Func<ValueTask> change)
    {
        var step = truth.Begin(offset, length, bytes);
        bool isAcknowledged = false;
        try
        {
            await process.ReturnAsync(change);
            isAcknowledged = true;
        }
        finally
        {
            truth.End(step, isAcknowledged);
        }
    }
}
