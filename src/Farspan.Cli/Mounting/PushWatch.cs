using Farspan.Cli.Terminal;

namespace Farspan.Cli.Mounting;

/// <summary>Looks at what a mount has still to push while somebody waits for its end: shows it, and tells when it gets less.</summary>
internal sealed class PushWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    private readonly MountRecord _record;
    private readonly TextWriter _output;
    private readonly ProgressMode _mode;
    private readonly Action _advanced;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private long _left;

    /// <summary>Begins to look. <paramref name="advanced"/> is called from another thread each time that less is left.</summary>
    public PushWatch(MountRecord record, TextWriter output, ProgressMode mode, Action advanced)
    {
        _record = record;
        _output = output;
        _mode = mode;
        _advanced = advanced;
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>Stops.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task LoopAsync()
    {
        ProgressLine? line = null;
        try
        {
            long total = 0;
            while (true)
            {
                long left = (await MountInquiry.AskAsync(_record, _stop.Token)).DirtyBytes ?? 0;
                if (left < Interlocked.Exchange(ref _left, left))
                    _advanced();
                total = Math.Max(total, left);
                if (total > 0)
                    line ??= ProgressLine.Start(_output, _mode, "push", total, () => total - Interlocked.Read(ref _left));
                await Task.Delay(s_interval, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The unmount is over.
        }
        finally
        {
            if (line is not null)
                await line.DisposeAsync();
        }
    }
}
