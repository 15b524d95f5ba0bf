using System.Net.Sockets;
using Farspan.Cli.Mounting;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class ControlServerTests
{
    // A mount that ends closes its socket on whoever still waits to be let in: for 'umount', which looks at the pushes meanwhile, no error.
    [Fact(Timeout = 120_000)]
    public async Task CallerWhoWasNeverLetIn_FindsNobody()
    {
        using var directory = new TemporaryDirectory();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(directory["s"]));
        listener.Listen(8);
        var asking = ControlServer.AskAsync(directory["s"], new ControlRequest(ControlRequest.Status), CancellationToken.None);
        Assert.False(asking.IsCompleted);
        listener.Dispose();
        Assert.Null(await asking);
    }

    [Fact(Timeout = 120_000)]
    public async Task CallerWhoseProcessGoesAway_IsToldSo()
    {
        using var directory = new TemporaryDirectory();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(directory["s"]));
        listener.Listen(8);
        var asking = ControlServer.AskAsync(directory["s"], new ControlRequest(ControlRequest.Status), CancellationToken.None);
        using (var caller = await listener.AcceptAsync())
            Assert.NotEqual(0, await caller.ReceiveAsync(new byte[4096]));
        Assert.Contains("went away", (await Assert.ThrowsAsync<IOException>(() => asking)).Message, StringComparison.Ordinal);
    }
}
