using Farspan.Mounts;

namespace Farspan.Linux.Fuse;

/// <content>How a mount ends, by whomever; every wait is bounded.</content>
public sealed partial class FuseMount
{
    private static readonly TimeSpan s_farewell = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Unmounts, and cuts off at once who still uses the file: there is nothing in it for them any more. Waits for the end; what fails on the way is not told, as nothing is
    /// left that it could be the loss of.
    /// </summary>
    internal async Task CutOffAsync()
    {
        bool isFree = false;
        await _unmounting.WaitAsync();
        try
        {
            isFree = _session.ReadersEnded.IsCompleted || await TryUnmountAsync(isLazy: false) || !await TryUnmountAsync(isLazy: true);
        }
        catch (MountException error)
        {
            LogMessages.NotCleanedUp(_options.Logger, MountPoint, error.Message);
        }
        finally
        {
            _unmounting.Release();
        }

        await WaitForReadersAsync(isFree ? _options.CloseTimeout : s_farewell);
        Volatile.Write(ref _isReported, 1);
        await ((Task)Completion).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync()
    {
        await _session.ReadersEnded;
        try
        {
            await TakeDownAsync();
            await _session.FinishAsync();
        }
        catch
        {
            Release(logsFailure: true);
            throw;
        }

        Release(logsFailure: false);
    }

    // A connection that ended by itself, by a fault or because it was aborted from outside, leaves its mount, which nobody serves.
    private async Task TakeDownAsync()
    {
        try
        {
            if (_mount.IsThere)
                await OnThread(() => _mount.TryUnmount(isLazy: true)).WaitAsync(_options.CloseTimeout, _options.Clock);
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            LogMessages.NotCleanedUp(_options.Logger, MountPoint, error.Message);
        }
    }

    private void Release(bool logsFailure)
    {
        ProcessExit.Remove(this);
        try
        {
            _target.Release(_mount.Path);
        }
        catch (MountException error) when (logsFailure)
        {
            LogMessages.NotCleanedUp(_options.Logger, MountPoint, error.Message);
        }
    }

    // Unmounting writes back the kernel's pages first. That may take its time, as long as it goes on: when it stands still, it is cut off.
    private async Task<bool> TryUnmountAsync(bool isLazy)
    {
        var unmounting = OnThread(() => _mount.TryUnmount(isLazy));
        long written;
        do
        {
            written = _session.WriteCount;
            try
            {
                return await unmounting.WaitAsync(_options.CloseTimeout, _options.Clock);
            }
            catch (TimeoutException)
            {
                // Looked into below.
            }
        }
        while (written != _session.WriteCount);

        string cutOff = $"Unmounting {MountPoint} stood still for {_options.CloseTimeout.TotalSeconds:0} s and was cut off; "
            + "what programs wrote there without a later fsync may be lost.";
        await StopAsync(cutOff);
        try
        {
            return await unmounting.WaitAsync(_options.CloseTimeout, _options.Clock);
        }
        catch (TimeoutException error)
        {
            throw new MountException(cutOff, error);
        }
    }

    private Task StopAsync(string reason)
        => Task.Factory.StartNew(
            () => _session.Stop(reason), CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);

    private async Task WaitForReadersAsync(TimeSpan patience)
    {
        try
        {
            await _session.ReadersEnded.WaitAsync(patience, _options.Clock);
        }
        catch (TimeoutException)
        {
            await StopAsync($"{MountPoint} was still in use, or its backend busy, {patience.TotalSeconds:0.#} s after it was unmounted; its users were cut off.");
        }
    }
}
