using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// The copy of a region that a child process got by forking. It has what was present; what was absent is poisoned there, so that it never reads as zero.
/// </summary>
internal static class ForkedCopy
{
    // More is left to wait: poison takes a page table for every page.
    private const long MostSealed = 64L << 30;

    public static void Seal(RegionCore region, SafeDescriptor child)
        => region.Tasks.Run(static state => SealAsync(state.Region, state.Child), (Region: region, Child: child));

    private static async Task SealAsync(RegionCore region, SafeDescriptor child)
    {
        await Task.Yield();
        using var faults = UserfaultDescriptor.Adopt(child, region.Memory.Faults.Features);
        bool canSeal = region.Memory.CanPoison && region.Memory.Length <= MostSealed;
        long page = Environment.SystemPageSize;
        for (long at = 0; canSeal && at < region.Memory.Length;)
        {
            var error = faults.Poison(region.Memory.Address + (ulong)at, (ulong)(region.Memory.Length - at), 0, out long done);
            at += done;
            if (error == Errno.EEXIST)
                at += page;
            else if (error == Errno.EAGAIN && done == 0)
                await Task.Delay(TimeSpan.FromMilliseconds(1), region.Options.Clock);
            else if (error is not (Errno.Ok or Errno.EAGAIN))
                return;
        }

        // As long as the descriptor is open, touches wait.
        if (!canSeal)
            await Task.Delay(Timeout.InfiniteTimeSpan, region.Options.Clock, region.Stopping.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
    }
}
