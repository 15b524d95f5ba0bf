using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>When a client that leaves has its writes flushed, and when there is no need.</summary>
public sealed class LastFlushTests
{
    private const int Size = 1 << 20;

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AfterAFlushThatSucceeded_NoneFollows(bool later)
    {
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (_, _, _, _) => await (later ? Task.Delay(1, CancellationToken.None) : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Write(0, [1]));
        await EventuallyFlushedAsync(harness, client);
        Assert.Equal(["write 0+1", "flush 0+0"], backend.Calls);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AfterAFlushThatFailed_OneFollows(bool later)
    {
        int flushes = 0;
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, _, _, _) =>
            {
                if (later)
                    await Task.Yield();
                if (call == "flush" && Interlocked.Increment(ref flushes) == 1)
                    throw new BackendException(BackendError.InputOutput, "not now");
            },
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Write(0, [1]));
        Assert.Equal(NbdErrno.Io, client.Request(NbdCommand.Flush, 0, 0).Error);
        client.Dispose();
        await harness.ClientsGoneAsync();
        Assert.Equal(["write 0+1", "flush 0+0", "flush 0+0"], backend.Calls);
    }

    [Fact(Timeout = 120_000)]
    public async Task AfterAFlushThatOvertookAWrite_OneFollows()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, _, _, _) => await (call == "write" ? gate.Task : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        ulong write = client.SendRequest(NbdCommand.Write, 0, 1, [1]);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Flush, 0, 0).Error);
        gate.SetResult();
        Assert.Equal(write, client.ReadReply().Cookie);
        client.Dispose();
        await harness.ClientsGoneAsync();
        Assert.Equal(["write 0+1", "flush 0+0", "flush 0+0"], backend.Calls);
    }

    [Fact(Timeout = 120_000)]
    public async Task StoreThatNeverAnswers_DoesNotKeepTheConnection()
    {
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, _, _, _) => await (call == "flush" ? Task.Delay(Timeout.Infinite, CancellationToken.None) : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { ShutdownTimeout = TimeSpan.FromMilliseconds(100) });
        var client = harness.Connect();
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Write(0, [1]));
        client.Dispose();
        await harness.ClientsGoneAsync();
        Assert.Equal(["write 0+1", "flush 0+0"], backend.Calls);
    }

    [Fact]
    public void FlushThatEndsLate_TakesNothingBack()
    {
        var ledger = new WriteLedger();
        ledger.Begin();
        long early = ledger.BeginFlush(nothingRuns: true);
        ledger.Begin();
        long late = ledger.BeginFlush(nothingRuns: true);
        ledger.EndFlush(late);
        Assert.False(ledger.HasUnflushed);
        ledger.EndFlush(early);
        Assert.False(ledger.HasUnflushed);
        ledger.Begin();
        Assert.True(ledger.HasUnflushed);
        ledger.EndFlush(ledger.BeginFlush(nothingRuns: false));
        Assert.True(ledger.HasUnflushed);
    }

    /// <summary>The reply of a write may reach us before it is off the server's list: a flush right then covers nothing, a later one all.</summary>
    private static async Task EventuallyFlushedAsync(ServerHarness harness, ScriptedClient client)
    {
        while (harness.Server.RequestsInFlight > 0)
            await Task.Delay(1);
        Assert.Equal(NbdErrno.Ok, client.Request(NbdCommand.Flush, 0, 0).Error);
        client.Dispose();
        await harness.ClientsGoneAsync();
    }
}
