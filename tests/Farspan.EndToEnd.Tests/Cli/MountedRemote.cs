using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>What another server serves, mounted by <c>farspan mount</c>. Disposed, it is unmounted by force and the server ended.</summary>
internal sealed class MountedRemote : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly FarspanProcess _farspan;
    private bool _isMounted;

    private MountedRemote(TemporaryDirectory directory, NbdPeer server)
    {
        _directory = directory;
        _farspan = new FarspanProcess(directory);
        Server = server;
    }

    public NbdPeer Server { get; }

    /// <summary>The mounted file.</summary>
    public string Path => _directory["disk"];

    /// <summary>Mounts the default export of <paramref name="server"/>, which it then owns.</summary>
    public static Task<MountedRemote> MountAsync(NbdPeer server, params string[] options) => MountOverAsync(server.Socket, server, options);

    /// <summary>The same, over a line that begins at <paramref name="socket"/>.</summary>
    public static async Task<MountedRemote> MountOverAsync(string socket, NbdPeer server, params string[] options)
    {
        var mounted = new MountedRemote(new TemporaryDirectory(), server);
        try
        {
            await mounted._farspan.OkAsync(["mount", $"nbd+unix:///?socket={socket}", "disk", .. options]);
            mounted._isMounted = true;
            return mounted;
        }
        catch
        {
            await mounted.DisposeAsync();
            throw;
        }
    }

    /// <summary>Unmounts as a user does; that must succeed and leave nothing.</summary>
    public async Task EndAsync()
    {
        await _farspan.OkAsync("umount", "disk");
        _isMounted = false;
        Assert.Empty(_farspan.Leftovers());
    }

    public async ValueTask DisposeAsync()
    {
        if (_isMounted)
        {
            await FuseConnection.AbortAsync(Path);
            await using (await _farspan.RunAsync("umount", "disk", "--force"))
            {
            }
        }

        await Server.DisposeAsync();
        _directory.Dispose();
    }
}
