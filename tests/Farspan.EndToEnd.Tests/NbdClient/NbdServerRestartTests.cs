using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>Servers that die in the middle of a load and come back: nothing flushed is lost, and callers see no more than a pause.</summary>
public sealed class NbdServerRestartTests
{
    private const int Size = 8 << 20;
    private const int Stripe = Size / 4;

    [RequiresFact("nbdkit")]
    public async Task Nbdkit_KilledAndRestarted_LosesNothing()
    {
        await using var server = await NbdPeer.StartFileAsync(Size);
        await RunAsync(server, restarts: 6);
    }

    [RequiresFact("qemu-nbd")]
    public async Task QemuNbd_KilledAndRestarted_LosesNothing()
    {
        await using var server = await NbdPeer.StartQemuAsync(Size);
        await RunAsync(server, restarts: 4);
    }

    /// <summary>nbdkit's memory is empty when it comes back: what had not been flushed is written again, though the server has forgotten it.</summary>
    [RequiresFact("nbdkit")]
    public async Task ServerThatForgetsEverything_GetsBackWhatWasNotFlushed()
    {
        await using var server = await NbdPeer.StartAsync("memory", "1M");
        await using var backend = await server.ConnectAsync();
        byte[] data = BackendModel.Bytes(1, 700_000);
        await backend.WriteAsync(1000, data);
        await server.RestartAsync();
        byte[] back = new byte[data.Length];
        await backend.ReadAsync(1000, back);
        Assert.Equal(data, back);
    }

    private static async Task RunAsync(NbdPeer server, int restarts)
    {
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with
        {
            ReconnectTimeout = TimeSpan.FromSeconds(60),
            RequestTimeout = TimeSpan.FromSeconds(60),
            MaximumReconnectDelay = TimeSpan.FromMilliseconds(100),
        });
        using var stop = new CancellationTokenSource();
        byte[] expected = new byte[Size];
        int operations = 0;
        var workers = Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            byte[] buffer = new byte[64 << 10];
            while (!stop.IsCancellationRequested)
            {
                int length = 1 + random.Next(buffer.Length);
                int offset = (worker * Stripe) + random.Next(Stripe - length);
                switch (random.Next(8))
                {
                    case 0:
                        await backend.FlushAsync();
                        break;
                    case 1 or 2:
                        await backend.ReadAsync(offset, buffer.AsMemory(0, length));
                        Assert.True(expected.AsSpan(offset, length).SequenceEqual(buffer.AsSpan(0, length)), $"Wrong bytes at {offset}.");
                        break;
                    default:
                        random.NextBytes(buffer.AsSpan(0, length));
                        await backend.WriteAsync(offset, buffer.AsMemory(0, length));
                        buffer.AsSpan(0, length).CopyTo(expected.AsSpan(offset));
                        break;
                }

                Interlocked.Increment(ref operations);
            }
        })).ToArray();
        for (int i = 0; i < restarts; i++)
        {
            int before = Volatile.Read(ref operations);
            while (Volatile.Read(ref operations) < before + 200 && !workers.Any(w => w.IsCompleted))
                await Task.Delay(5);
            await server.RestartAsync();
        }

        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await backend.FlushAsync();
        await server.KillAsync();
        byte[] disk = await File.ReadAllBytesAsync(server.Disk);
        Assert.True(expected.AsSpan().SequenceEqual(disk), "The disk does not hold what was flushed.");
    }
}
