using System.Runtime.ExceptionServices;
using Farspan.Backends;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;
using Farspan.Mounts;
using Farspan.Units;

namespace Farspan.Cli.Mounting;

/// <summary>Ends a mount: pushes, takes it away from programs, closes the remote, and says what could not be made durable.</summary>
internal sealed class MountEnding(MountParts parts)
{
    private static readonly TimeSpan s_closeTimeout = new FuseMountOptions().CloseTimeout;

    /// <summary>What a managed mount has left, once it has ended; null before, and for a direct one.</summary>
    public ClosedMount? Closed { get; private set; }

    /// <summary>Does it once, and returns what failed; null where everything is durable at the remote.</summary>
    public async Task<Exception?> RunAsync()
    {
        Exception? failure = null;
        await using (ShowPushes())
        {
            // Clients of a mount without a file would write on behind a push that is to be the last.
            if (parts.Attachment is ServedAttachment)
                await parts.Exports.DisposeAsync();
            await TryPushAsync();
            try
            {
                await parts.Attachment.DisposeAsync();
                await parts.Attachment.Completion;
            }
            catch (Exception error)
            {
                failure = error;
            }

            await parts.Exports.DisposeAsync();
            failure ??= SaveTrace();
            try
            {
                await CloseWhileItAdvancesAsync(Task.Run(CloseBackendAsync));
            }
            catch (TimeoutException error)
            {
                failure ??= new MountException($"{parts.Record.Remote} did not close within {s_closeTimeout.TotalSeconds:0} s.", error);
            }
            catch (Exception error)
            {
                // That the last flush failed as well says nothing more.
                bool isSame = failure?.Message.StartsWith("The last flush ", StringComparison.Ordinal) ?? true;
                failure = isSame ? error : new MountException($"{failure!.Message} {error.Message}", error);
            }
        }

        return failure;
    }

    /// <summary>Pushes what is dirty, however long that takes: the steps that follow have little left to do in the time that each has.</summary>
    public async Task TryPushAsync()
    {
        try
        {
            if (parts.Managed is { Status: { Outage: null, State: MountState.Open } } && !parts.Attachment.Completion.IsCompleted)
                await parts.Managed.FlushAsync();
        }
        catch (Exception error) when (error is BackendException or ObjectDisposedException)
        {
            // The close tries again, and says what is left.
        }
    }

    // A close bounds each of its steps, but a remote or a disk may stand still: what is pushed shows that this one does not.
    private async Task CloseWhileItAdvancesAsync(Task closing)
    {
        while (true)
        {
            long before = parts.Managed?.Status.PushedBytes ?? 0;
            try
            {
                await closing.WaitAsync(s_closeTimeout + (parts.Settings.Managed?.Options.CloseTimeout ?? TimeSpan.Zero));
                return;
            }
            catch (TimeoutException) when (parts.Managed?.Status.PushedBytes > before)
            {
                // It has time anew.
            }
        }
    }

    private MountException? SaveTrace()
    {
        try
        {
            parts.Recorder?.ToTrace().Save(parts.Settings.Record!);
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new MountException($"The trace could not be kept in {parts.Settings.Record}: {error.Message}", error);
        }
    }

    private async Task CloseBackendAsync()
    {
        if (parts.Managed is null)
        {
            await parts.Backend.DisposeAsync();
            return;
        }

        var report = await parts.Managed.CloseAsync();
        Closed = new ClosedMount(report.UnpushedBytes, report.KeptIn, report.Error?.Message);
        if (!report.IsComplete)
            throw new MountException(WhatIsLeft(report), report.Error);
        if (report.Error is not null)
            ExceptionDispatchInfo.Throw(report.Error);
    }

    private string WhatIsLeft(MountCloseReport report)
    {
        string kept = report.KeptIn is { } cache
            ? $"they are kept in {cache}, and this pushes them: {parts.Record.ResumeCommand}"
            : "they are lost, for the cache was in memory";
        return $"{(report.Error is null ? "" : $"{report.Error.Message} ")}{ByteSize.Format(report.UnpushedBytes)} ({report.UnpushedBytes} bytes) were not pushed; {kept}";
    }

    private ProgressLine? ShowPushes()
    {
        if (parts.Managed is not { } managed)
            return null;
        long total = Dirty(managed);
        if (total == 0)
            return null;
        long before = managed.Status.PushedBytes;
        return ProgressLine.Start(
            Console.Error, parts.Settings.Progress, "push", total, () => Math.Max(total - Dirty(managed), managed.Status.PushedBytes - before), "flushing");
    }

    private static long Dirty(ManagedBackend managed) => managed.Status is var status ? status.DirtyBytes + status.DirtyZeroBytes : 0;
}
