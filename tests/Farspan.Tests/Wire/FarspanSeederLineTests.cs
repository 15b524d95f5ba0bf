using Farspan.Backends;
using Farspan.Migration;
using Farspan.Wire.Client;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>What a seeder over our wire does when the line breaks, the server goes, and things take long.</summary>
public sealed class FarspanSeederLineTests
{
    private const int TimeLimit = 120_000;

    private static readonly Guid Token = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    [Theory(Timeout = TimeLimit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ALineThatBreaksDuringACall_FailsIt_AndTheNextCallConnects(bool holdsReplies)
    {
        foreach (var (name, call) in Calls)
        {
            await using var host = await RegionHost.StartAsync();
            var line = new BreakableConnector(host.Options.Endpoint);
            await using var far = await FarspanSeeder.ConnectAsync(host.Options with { Connector = line.Connect, Connections = 1 });
            var session = await PrepareAsync(host, far, name);
            host.Held.HoldsReplies = holdsReplies;
            host.Held.Hold();
            var broken = call(far, session);
            await host.Held.Entered;
            line.Break();
            var error = await Assert.ThrowsAsync<BackendException>(() => broken);
            Assert.True(error.IsTransient, name);
            host.Held.Release();
            await call(far, session);
            Assert.Equal(2, line.Connections);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CallsMadeWithoutAServer_WaitForTheNext_AndFailWhenThatTakesTooLong()
    {
        await using var host = await RegionHost.StartAsync();
        await using var far = await host.ConnectAsync();
        await using var impatient = await FarspanSeeder.ConnectAsync(host.Options with { ReconnectTimeout = TimeSpan.Zero });
        var session = await TrackAsync(far);
        await host.StopAsync();
        var error = await Assert.ThrowsAsync<BackendException>(async () => await impatient.AskAsync(session with { Call = SeederCall.Finalize }));
        Assert.Equal((BackendError.Disconnected, true), (error.Error, error.IsTransient));
        Assert.True(host.Program.IsRunning);

        // One that is made before the loss was noticed fails at once, those after it wait.
        Task<bool>? read = null;
        while (read is null)
        {
            var tried = far.ReadAsync(session, 0, new byte[1]).AsTask();
            if (await Task.WhenAny(tried, Task.Delay(2000)) != tried)
                read = tried;
            else
                Assert.True((await Assert.ThrowsAsync<BackendException>(() => tried)).IsTransient);
        }

        host.Start();
        Assert.True(await read);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ALongHandOver_IsWaitedFor_WhileOthersGoOn()
    {
        await using var host = await RegionHost.StartAsync();
        await using var far = await FarspanSeeder.ConnectAsync(host.Options with { RequestTimeout = TimeSpan.FromSeconds(4), Connections = 1 });
        var session = await TrackAsync(far);
        var suspended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Program.Suspension = suspended.Task;
        var finalize = session with { Call = SeederCall.Finalize };
        var all = Enumerable.Range(0, 8).Select(_ => far.AskAsync(finalize).AsTask()).ToArray();

        // Longer than a request may take, and than a silent server is believed in.
        byte[] bytes = new byte[4096];
        Assert.True(await far.ReadAsync(session, 0, bytes));
        await Task.Delay(9000);
        Assert.True(await far.ReadAsync(session, 0, bytes));
        Assert.All(all, static one => Assert.False(one.IsCompleted));
        suspended.SetResult();
        foreach (var reply in await Task.WhenAll(all))
            Assert.Equal((SeederAnswer.Yours, 2L), (reply.Answer, reply.Epoch));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AHandOver_HasItsOwnTimeOut_AndIsAskedAgain()
    {
        await using var host = await RegionHost.StartAsync();
        await using var patient = await host.ConnectAsync();
        var session = await TrackAsync(patient);
        await using var far = await host.ConnectAsync(new FarspanSeederOptions { AskTimeout = TimeSpan.FromMilliseconds(300) });
        var suspended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Program.Suspension = suspended.Task;
        var finalize = session with { Call = SeederCall.Finalize };
        var error = await Assert.ThrowsAsync<BackendException>(async () => await far.AskAsync(finalize));
        Assert.Equal((BackendError.TimedOut, true), (error.Error, error.IsTransient));
        using var cancelled = new CancellationTokenSource();
        var asked = far.AskAsync(finalize, cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => asked);
        suspended.SetResult();
        var reply = await patient.AskAsync(finalize);
        Assert.Equal(SeederAnswer.Yours, reply.Answer);
        Assert.True(reply.IsExact);
        Assert.Equal(RegionRole.HandedOver, host.Seeder.Record.Role);
        Assert.Throws<ArgumentOutOfRangeException>(() => new FarspanSeederOptions { AskTimeout = TimeSpan.Zero }.Validate());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ASeederThatIsClosed_FailsCalls_Transiently()
    {
        await using var host = await RegionHost.StartAsync();
        await using var far = await host.ConnectAsync();
        var session = await TrackAsync(far);
        await host.Seeder.DisposeAsync();
        foreach (var (name, call) in Calls.Where(static call => call.Name != "list"))
        {
            var error = await Assert.ThrowsAsync<BackendException>(() => call(far, session));
            Assert.True(error is { Error: BackendError.ShuttingDown, IsTransient: true }, $"{name}: {error.Message}");
        }

        await far.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await far.AskAsync(session with { Call = SeederCall.Track }));
    }

    private static IEnumerable<(string Name, Func<FarspanSeeder, SeederRequest, Task> Call)> Calls =>
    [
        ("track", static (far, session) => far.AskAsync(session with { Call = SeederCall.Track }).AsTask()),
        ("round", static (far, session) => far.AskAsync(session with { Call = SeederCall.Round, Round = 1 }).AsTask()),
        ("finalize", static (far, session) => far.AskAsync(session with { Call = SeederCall.Finalize }).AsTask()),
        ("close", static (far, session) => far.AskAsync(session with { Call = SeederCall.Close }).AsTask()),
        ("give up", static (far, session) => far.AskAsync(session with { Call = SeederCall.GiveUp }).AsTask()),
        ("read", static async (far, session) => Assert.True(await far.ReadAsync(session, 0, new byte[4096]))),
        ("digest", static async (far, session) => Assert.True(await far.DigestAsync(session, 0, new byte[64]))),
        ("list", static async (far, session) => Assert.NotNull(await far.ListAsync(session with { Call = SeederCall.Round, Round = 1 }, 0, 1))),
    ];

    private static async Task<SeederRequest> PrepareAsync(RegionHost host, FarspanSeeder far, string call)
    {
        var session = await TrackAsync(far);
        if (call == "close")
            await far.AskAsync(session with { Call = SeederCall.Finalize });

        // In process, so that the list has not come over the line.
        if (call == "list")
            await host.Seeder.AskAsync(session with { Call = SeederCall.Round, Round = 1 });
        return session;
    }

    private static async Task<SeederRequest> TrackAsync(FarspanSeeder seeder)
    {
        var reply = await seeder.AskAsync(new SeederRequest(SeederCall.Track, Token));
        Assert.Equal(SeederAnswer.Tracking, reply.Answer);
        return new SeederRequest(SeederCall.Read, Token, reply.Session);
    }
}
