using Farspan.Cli.Terminal;

namespace Farspan.Cli.Mounting;

/// <summary>Looks at what a mount pushes while somebody waits for its end: shows it, and tells when it gets on.</summary>
internal sealed class PushWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    private readonly MountRecord _record;
    private readonly TextWriter _output;
    private readonly ProgressMode _mode;
    private readonly Action _advanced;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private long _done;

    /// <summary>Begins to look. <paramref name="advanced"/> is called from another thread each time that more is pushed.</summary>
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
            var first = await MountInquiry.AskAsync(_record, _stop.Token);
            long total = first.DirtyBytes ?? 0;
            if (total > 0)
                line = ProgressLine.Start(_output, _mode, "push", total, () => Interlocked.Read(ref _done), "flushing");
            while (true)
            {
                // What is sent counts, though all of it is dirty until the flush that follows.
                var now = await MountInquiry.AskAsync(_record, _stop.Token);
                long done = Math.Max(total - (now.DirtyBytes ?? total), (now.PushedBytes ?? 0) - (first.PushedBytes ?? 0));
                if (done > Interlocked.Exchange(ref _done, done))
                    _advanced();
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
