using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.TestKit.Time;
using Farspan.Wire.Client;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Exclusive ownership over the wire: one holder, rising epochs, and no write of an older one after a newer was given.</summary>
public sealed class LeaseTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task Held_IsRefusedToAnother_WhoLearnsTheHolder_AndGivenAfterItsReturn()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var one = await host.ConnectAsync();
        await using var other = await host.ConnectAsync();
        long epoch;
        await using (var lease = await one.AcquireAsync("host one"))
        {
            epoch = lease.Epoch;
            var error = await Assert.ThrowsAsync<BackendException>(async () => await other.AcquireAsync("host two"));
            Assert.Equal(BackendError.Leased, error.Error);
            Assert.Contains("host one", error.Message, StringComparison.Ordinal);
        }

        await using var next = await other.AcquireAsync("host two");
        Assert.True(next.Epoch > epoch);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WhileHeld_WritersWithoutItAreRefused_HereAndBesideTheServer()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var holder = await host.ConnectAsync();
        await using var other = await host.ConnectAsync();
        await other.WriteAsync(0, new byte[] { 1 });
        await host.Server.Gated().WriteAsync(1, new byte[] { 2 });
        await using (var lease = await holder.AcquireAsync("holder"))
        {
            await lease.Backend.WriteAsync(2, new byte[] { 3 });
            await lease.Backend.FlushAsync();
            await RefusedAsync(BackendError.Leased, () => other.WriteAsync(0, new byte[] { 9 }));
            await RefusedAsync(BackendError.Leased, () => other.TrimAsync(0, 4096));
            await RefusedAsync(BackendError.Leased, () => other.ZeroAsync(0, 4096));
            await RefusedAsync(BackendError.Leased, () => holder.WriteAsync(0, new byte[] { 9 }));
            await RefusedAsync(BackendError.Leased, () => host.Server.Gated().WriteAsync(0, new byte[] { 9 }));
            await other.FlushAsync();
        }

        byte[] bytes = new byte[3];
        await other.ReadAsync(0, bytes);
        Assert.Equal([1, 2, 3], bytes);
        await other.WriteAsync(0, new byte[] { 4 });
    }

    [Fact(Timeout = TimeLimit)]
    public async Task GivenBack_ItsWritesAreFenced()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var client = await host.ConnectAsync();
        var lease = await client.AcquireAsync("holder");
        await lease.DisposeAsync();
        await RefusedAsync(BackendError.Fenced, () => lease.Backend.WriteAsync(0, new byte[] { 1 }));
        await RefusedAsync(BackendError.Fenced, () => lease.Backend.FlushAsync());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OneClientsGoodbye_GivesBackItsLease()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        var first = await host.ConnectAsync();
        await first.AcquireAsync("first");
        await first.DisposeAsync();
        await using var second = await host.ConnectAsync();
        await using var lease = await second.AcquireAsync("second");
        Assert.True(lease.Epoch > 0);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task OfManyWhoAskAtOnce_OneGetsIt()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        var clients = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => host.ConnectAsync().AsTask()));
        long last = 0;
        for (int round = 0; round < 20; round++)
        {
            var tries = clients.Select(client => Task.Run(async () =>
            {
                try
                {
                    return await client.AcquireAsync("racer");
                }
                catch (BackendException error) when (error.Error == BackendError.Leased)
                {
                    return null;
                }
            })).ToArray();
            var won = Assert.Single((await Task.WhenAll(tries)).OfType<ILease>());
            Assert.True(won.Epoch > last);
            last = won.Epoch;
            await won.DisposeAsync();
        }

        foreach (var client in clients)
            await client.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Grant_WaitsForWritesThatRun_AndKeepsNewOnesOut()
    {
        var slow = new HeldBackend(1 << 20);
        await using var host = new WireHost(slow);
        await using var writer = await host.ConnectAsync();
        await using var taker = await host.ConnectAsync();
        slow.Hold();
        var running = writer.WriteAsync(0, new byte[] { 1 }).AsTask();
        await slow.Entered;
        var granting = taker.AcquireAsync("taker").AsTask();

        // The grant is under way once writers are refused in its name.
        var gate = host.Server.Find("")!.Gate;
        BackendException? refusal;
        while ((refusal = gate.TryEnter(Guid.Empty, 0)) is null)
        {
            gate.Exit();
            await Task.Yield();
        }

        Assert.Contains("taker", refusal.Message, StringComparison.Ordinal);
        Assert.False(granting.IsCompleted);
        slow.Release();
        await running;
        await using var lease = await granting;
        await RefusedAsync(BackendError.Leased, () => writer.WriteAsync(0, new byte[] { 2 }));
    }

    [Fact]
    public void SilentHoldersLease_CanBeTaken_AndItsWritesAreFencedForEver()
    {
        var clock = new VirtualTimeProvider();
        var gate = new LeaseGate(new EpochFile(null, clock), clock, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(5));
        var (one, two) = (Guid.NewGuid(), Guid.NewGuid());
        long first = gate.AcquireAsync(one, Guid.NewGuid(), "one").Result.Epoch;
        clock.Advance(TimeSpan.FromSeconds(29));
        gate.Touch(one);
        clock.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(BackendError.Leased, gate.TryEnter(two, 0)!.Error);
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(gate.TryEnter(one, first));
        gate.Exit();
        long second = gate.AcquireAsync(two, Guid.NewGuid(), "two").Result.Epoch;
        Assert.True(second > first);
        Assert.Equal(BackendError.Fenced, gate.TryEnter(one, first)!.Error);
        Assert.Equal(BackendError.Fenced, gate.TryEnter(one, second)!.Error);
        Assert.False(gate.TryRenew(one, first));
        Assert.Null(gate.TryEnter(two, second));
        gate.Exit();
    }

    [Fact]
    public void SilentHolder_WhoseBytesAnotherChanged_IsFenced()
    {
        var clock = new VirtualTimeProvider();
        var gate = new LeaseGate(new EpochFile(null, clock), clock, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(5));
        var one = Guid.NewGuid();
        long epoch = gate.AcquireAsync(one, Guid.NewGuid(), "one").Result.Epoch;
        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Null(gate.TryEnter(Guid.Empty, 0));
        gate.Exit();
        Assert.Equal(BackendError.Fenced, gate.TryEnter(one, epoch)!.Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerStartedAnew_KeepsTheHolder_AndEpochsRise()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20), keepsLease: true);
        await using var holder = await host.ConnectAsync();
        var lease = await holder.AcquireAsync("holder");
        await host.StopAsync();
        host.Start();
        await lease.Backend.WriteAsync(0, new byte[] { 7 });
        Assert.False(lease.Lost.IsCancellationRequested);
        await using var other = await host.ConnectAsync();
        await RefusedAsync(BackendError.Leased, async () => await other.AcquireAsync("other"));
        await lease.DisposeAsync();
        await host.StopAsync();
        host.Start();
        await using var next = await other.AcquireAsync("other");
        Assert.True(next.Epoch > lease.Epoch);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task HolderThatDied_TakesOverWithItsKey_AndWhatItHadSentIsFenced()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var died = await host.ConnectAsync();
        await using var again = await host.ConnectAsync();
        var key = Guid.NewGuid();
        var old = await died.AcquireAsync("holder", key);
        Assert.Equal(old.Epoch, old.UnbrokenSince);
        await using var lease = await again.AcquireAsync("holder", key);
        Assert.True(lease.Epoch > old.Epoch);
        Assert.Equal(old.Epoch, lease.UnbrokenSince);
        await RefusedAsync(BackendError.Fenced, () => old.Backend.WriteAsync(0, new byte[] { 9 }));
        await lease.Backend.WriteAsync(0, new byte[] { 1 });
        await using var other = await host.ConnectAsync();
        await RefusedAsync(BackendError.Leased, async () => await other.AcquireAsync("other"));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LostWhileWritesAreOnTheirWay_TheyFailAndTheLeaseSaysSo()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var holder = await host.ConnectAsync();
        var lease = await holder.AcquireAsync("holder");
        await lease.Backend.WriteAsync(0, new byte[] { 1 });

        // A server without a lease file knows nothing of the lease when it starts anew.
        await host.StopAsync();
        host.Start(new MemoryBackend(1 << 20));
        var rival = await host.ConnectAsync();
        bool rivalHas = false;
        try
        {
            await rival.AcquireAsync("rival");
            rivalHas = true;
        }
        catch (BackendException error) when (error.Error == BackendError.Leased)
        {
            // The holder was faster to come back.
        }

        var told = new TaskCompletionSource();
        await using var registration = lease.Lost.Register(told.SetResult);
        await RefusedAsync(BackendError.Fenced, () => lease.Backend.WriteAsync(0, new byte[] { 2 }));
        await told.Task;
        Assert.True(rivalHas || lease.Lost.IsCancellationRequested);
        await Assert.ThrowsAsync<BackendException>(async () => await lease.Backend.FlushAsync());
        await rival.DisposeAsync();
    }

    private static async Task RefusedAsync(BackendError expected, Func<ValueTask> call)
        => Assert.Equal(expected, (await Assert.ThrowsAsync<BackendException>(async () => await call())).Error);
}
