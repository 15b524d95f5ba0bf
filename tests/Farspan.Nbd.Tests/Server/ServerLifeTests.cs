using System.Net.Security;
using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>How a server and its connections begin and end, and what must not end them.</summary>
public sealed class ServerLifeTests
{
    private const int Size = 1 << 20;

    public static TheoryData<Exception> Failures() => [new InvalidOperationException("no"), new ObjectDisposedException("it"), new OperationCanceledException(), new SocketException(24)];

    [Theory(Timeout = 30_000)]
    [MemberData(nameof(Failures))]
    public async Task HookThatFailsForOneClient_LeavesTheNextOneServed(Exception failure)
    {
        int wrapped = 0;
        await CheckNextIsServedAsync(new NbdServerOptions
        {
            WrapConnection = stream => Interlocked.Increment(ref wrapped) == 1 ? throw failure : stream,
        });
    }

    [Fact(Timeout = 30_000)]
    public async Task ThreadThatCannotBeHadForOneClient_LeavesTheNextOneServed()
    {
        int started = 0;
        await CheckNextIsServedAsync(new NbdServerOptions
        {
            StartThread = thread =>
            {
                if (Interlocked.Increment(ref started) == 1)
                    throw new InvalidOperationException("no thread");
                thread.Start();
            },
        });
    }

    [Fact(Timeout = 30_000)]
    public async Task Disposing_Twice_OrStoppingAfterwards_DoesNothingMore()
    {
        var server = new NbdServer([new NbdExport { Backend = new MemoryBackend(Size) }]);
        await Task.WhenAll(server.DisposeAsync().AsTask(), server.DisposeAsync().AsTask());
        await server.DisposeAsync();
        await server.StopAsync();
        using var directory = new TemporaryDirectory();
        using var listener = StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
        await server.ServeAsync(listener);
    }

    [Fact(Timeout = 60_000)]
    public async Task RefusedConnections_AreOneLineInTheLogHoweverManyTheyAre()
    {
        var clock = new VirtualTimeProvider();
        var logger = new RecordingLogger();
        var server = new NbdServer(
            [new NbdExport { Backend = new MemoryBackend(Size) }], new NbdServerOptions { Clock = clock, MaximumConnections = 1 }, logger);
        var (one, other) = MemoryDuplex.Create();
        using var client = new ScriptedClient(one);
        var served = server.HandleAsync(other);
        client.Go();
        for (int i = 0; i < 500; i++)
            Assert.Throws<InvalidOperationException>(() => { _ = server.HandleAsync(MemoryDuplex.Create().One); });
        clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(["Connections were refused, 500 of them lately: 1 are the limit."], Warnings());
        Assert.Throws<InvalidOperationException>(() => { _ = server.HandleAsync(MemoryDuplex.Create().One); });
        await server.DisposeAsync();
        await served;
        Assert.Equal("Connections were refused, 1 of them lately: 1 are the limit.", Warnings().Last(line => line.Contains("refused", StringComparison.Ordinal)));

        IEnumerable<string> Warnings() => logger.Lines.Where(line => line.Level >= Microsoft.Extensions.Logging.LogLevel.Warning).Select(line => line.Message);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ClientWhoseRequestRuns_IsNotIdle_AndIsOnceItHasEnded(bool overSocket)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(Size) { Before = async (_, _, _, _) => await gate.Task };
        var clock = new VirtualTimeProvider();
        await using var harness = new ServerHarness(backend, new NbdServerOptions { Clock = clock, IdleTimeout = TimeSpan.FromSeconds(8) });
        var client = harness.Connect(overSocket);
        client.Go();
        client.SendRequest(NbdCommand.Read, 0, 512);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 1);
        for (int i = 0; i < 50; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            await Task.Yield();
        }

        gate.SetResult();
        Assert.Equal(NbdErrno.Ok, client.ReadReply(_ => 512).Error);
        var gone = harness.ClientsGoneAsync();
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            return gone.IsCompleted;
        });
        client.AssertClosed();
    }

    [Fact]
    public void IdleTime_CountsFromTheEndOfTheLastRequest()
    {
        var clock = new VirtualTimeProvider();
        var progress = new ConnectionProgress();
        progress.BeginReceive(withinMessage: false);
        Assert.Null(Judge(busy: true));
        clock.Advance(TimeSpan.FromSeconds(100));
        Assert.Null(Judge(busy: true));
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Null(Judge(busy: false));
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Null(Judge(busy: false));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("it is idle", Judge(busy: false));

        string? Judge(bool busy) => progress.Judge(clock, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10), busy);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task TlsClientThatDoesNotTakeTheGoodbye_IsDroppedAfterTheStallTimeout(bool inTransmission)
    {
        using var directory = new TemporaryDirectory();
        TestCertificate.Write(directory.Path);
        var clock = new VirtualTimeProvider();
        GateStream? line = null;
        await using var harness = new ServerHarness(new MemoryBackend(Size), new NbdServerOptions
        {
            Clock = clock,
            Tls = new NbdServerTls { CertificateDirectory = directory.Path },
            WrapConnection = stream => line = new GateStream(stream),
        });
        var client = harness.Connect(overSocket: false);
        client.Greet();
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StartTls));
        await using var secure = new SslStream(client.Stream, leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate?.Subject == "CN=localhost");
        await secure.AuthenticateAsClientAsync("localhost");
        client.Stream = secure;
        Assert.Equal(NbdOptionReply.Ack, client.Option(NbdOption.StructuredReply));
        client.Form = HeaderForm.Structured;
        if (inTransmission)
        {
            Assert.Equal(NbdOptionReply.Ack, client.InfoOrGo(NbdOption.Go, "").Last);
            Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out _));
        }

        line!.Shut();
        if (inTransmission)
            client.SendRequest(NbdCommand.Disconnect, 0, 0);
        else
            client.Send(new byte[OptionHeader.Size]);
        await line.WriteWaits;
        var gone = harness.ClientsGoneAsync();
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            return gone.IsCompleted;
        });
    }

    [Theory(Timeout = 30_000)]
    [InlineData(HeaderForm.Structured, 4096)]
    [InlineData(HeaderForm.Extended, 512 << 10)]
    public async Task Stopping_LetsAWriteThatIsBeingReceivedComeToItsEnd(HeaderForm form, int length)
    {
        GateStream? line = null;
        await using var backend = new MemoryBackend(Size);
        await using var harness = new ServerHarness(backend, new NbdServerOptions { WrapConnection = stream => line = new GateStream(stream) });
        var client = harness.Connect();
        client.Go(form);
        byte[] request = client.RequestBytes(NbdCommand.Write, 0, (ulong)length, Enumerable.Repeat((byte)7, length).ToArray());
        int half = request.Length / 2;
        long before = line!.BytesRead;
        client.Send(request.AsSpan(0, half));
        await Eventually.HoldsAsync(() => line.BytesRead == before + half && line.IsReading);
        var stopping = harness.Server.StopAsync();
        await Task.Delay(50);
        Assert.False(stopping.IsCompleted);
        client.Send(request.AsSpan(half));
        Assert.Equal(NbdErrno.Ok, client.ReadReply().Error);
        client.AssertClosed();
        await stopping;
        byte[] stored = new byte[length];
        await backend.ReadAsync(0, stored);
        Assert.All(stored, value => Assert.Equal(7, value));
    }

    [Fact(Timeout = 30_000)]
    public async Task Stopping_LetsAReplyThatWaitsForTheLineBeSent()
    {
        GateStream? line = null;
        await using var harness = new ServerHarness(
            new MemoryBackend(Size), new NbdServerOptions { WrapConnection = stream => line = new GateStream(stream) });
        var client = harness.Connect();
        client.Go();
        line!.Shut();
        client.SendRequest(NbdCommand.Flush, 0, 0);
        await line.WriteWaits;
        await Eventually.HoldsAsync(() => line.IsReading);
        var stopping = harness.Server.StopAsync();
        line.Open();
        Assert.Equal(NbdErrno.Ok, client.ReadReply().Error);
        client.AssertClosed();
        await stopping;
    }

    [Fact(Timeout = 30_000)]
    public async Task Stopping_DoesNotWaitForAWriteWhoseRestNeverComes()
    {
        await using var harness = new ServerHarness(
            new MemoryBackend(Size), new NbdServerOptions { ShutdownTimeout = TimeSpan.FromMilliseconds(200) });
        var client = harness.Connect();
        client.Go();
        client.Send(client.RequestBytes(NbdCommand.Write, 0, 4096, new byte[4096]).AsSpan(0, 2000));
        await harness.Server.StopAsync();
        client.AssertClosed();
    }

    private static async Task CheckNextIsServedAsync(NbdServerOptions options)
    {
        using var directory = new TemporaryDirectory();
        using var listener = StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
        await using var backend = new MemoryBackend(Size);
        await using var server = new NbdServer([new NbdExport { Backend = backend }], options);
        var serving = server.ServeAsync(listener);
        using var unlucky = new ScriptedClient(await StreamDialer.ConnectAsync(listener.Endpoint, TimeSpan.FromSeconds(10)));
        unlucky.AssertClosed();
        using (var next = new ScriptedClient(await StreamDialer.ConnectAsync(listener.Endpoint, TimeSpan.FromSeconds(10))))
        {
            next.Go();
            Assert.Equal(NbdErrno.Ok, next.Read(0, 512, out _));
            Assert.Equal(1, server.ConnectionCount);
        }

        await server.DisposeAsync();
        await serving;
    }
}
