using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>
/// What qemu-nbd serves, mounted over a line that is slowed, cut and restored while somebody works on the mount. Not nbdkit: 1.32 ends with an
/// assertion when connections break under it.
/// </summary>
internal sealed class TroubledMount : IAsyncDisposable
{
    private const int Cuts = 3;

    private readonly MountedRemote _mounted;
    private int _cuts;

    private TroubledMount(TemporaryDirectory directory, CuttableLine line, MountedRemote mounted)
    {
        Directory = directory;
        Line = line;
        _mounted = mounted;
    }

    public TemporaryDirectory Directory { get; }

    public CuttableLine Line { get; }

    public string Path => _mounted.Path;

    public NbdPeer Server => _mounted.Server;

    public static async Task<TroubledMount> StartAsync(long size)
    {
        var directory = new TemporaryDirectory();
        var server = await NbdPeer.StartQemuAsync(size);
        var line = new CuttableLine(directory["line"], server.Socket);
        try
        {
            return new TroubledMount(directory, line, await MountedRemote.MountOverAsync(
                directory["line"], server, "--cache", directory["cache"], "--cache-size", "4MiB", "--dirty-limit", "1MiB", "--push-interval", "50ms",
                "--outage-timeout", "5m", "--close-timeout", "2m"));
        }
        catch
        {
            await line.DisposeAsync();
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Does the work, again until the line was cut as often as it has to be, and once more when it is whole.</summary>
    public async Task UnderTroubleAsync(Func<Task> work)
    {
        using var over = new CancellationTokenSource();
        var trouble = TroubleAsync(over.Token);
        try
        {
            while (!trouble.IsCompleted)
                await work();
        }
        finally
        {
            await over.CancelAsync();
            await trouble;
        }

        await work();
        Assert.Equal(Cuts, _cuts);
    }

    /// <summary>Unmounts as a user does; that must succeed and leave nothing.</summary>
    public Task EndAsync() => _mounted.EndAsync();

    public async ValueTask DisposeAsync()
    {
        Line.Restore();
        await _mounted.DisposeAsync();
        await Line.DisposeAsync();
        Directory.Dispose();
    }

    /// <summary>Slows the line, cuts it for a while, restores it, and goes on once it is used again.</summary>
    private async Task TroubleAsync(CancellationToken over)
    {
        try
        {
            for (; _cuts < Cuts; _cuts++)
            {
                Line.Delay = TimeSpan.FromMilliseconds(_cuts % 3);
                await Task.Delay(TimeSpan.FromMilliseconds(200 + (_cuts * 100)), over);
                int before = Line.Connections;
                Line.Cut();
                await Task.Delay(TimeSpan.FromMilliseconds(100 * _cuts), over);
                Line.Restore();
                while (Line.Connections == before)
                    await Task.Delay(5, over);
            }
        }
        catch (OperationCanceledException)
        {
            // The work has failed, which says more.
        }
        finally
        {
            Line.Restore();
            Line.Delay = TimeSpan.Zero;
        }
    }
}
