using Farspan.EndToEnd.Tests.Cli;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Farspan.TestKit.Peers;
using Farspan.Transports;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>A served managed mount that is killed while several clients write and flush: what was acknowledged is there when it is started again.</summary>
public sealed class ManagedServeCrashTests
{
    private const int Rounds = 4;

    [Fact(Timeout = 200_000)]
    public async Task KilledUnderWriters_ServesAndPushesWhatTheyWereAcknowledged()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        var truth = new SlotTruth();
        string[] arguments =
        [
            $"file:disk?size={SlotPattern.Length}&lock=off", "--managed", "--listen", "nbd+unix:///?socket=s", "--cache", "cache", "--push-interval", "20ms",
            "--dirty-limit", "256KiB",
        ];
        for (int round = 0; round < Rounds; round++)
        {
            await using var server = await farspan.ServeAsync(arguments);
            truth.CheckMount(await ReadAsync(directory));
            string[] lines = await WriteUntilAsync(directory, round, () => server.SignalAsync("KILL"));
            await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
            truth.Add(lines);
            truth.CheckRemote(await File.ReadAllBytesAsync(directory["disk"]));
        }

        Assert.True(truth.FlushCount > Rounds, $"{truth.FlushCount} flushes");
        byte[] seen;
        await using (var server = await farspan.ServeAsync(arguments))
        {
            seen = await ReadAsync(directory);
            truth.CheckMount(seen);
            await server.SignalAsync("TERM");
            await server.WaitForExitAsync(TimeSpan.FromSeconds(90));
            Assert.True(server.ExitCode == 0, server.Report);
        }

        Assert.True((await File.ReadAllBytesAsync(directory["disk"])).AsSpan().SequenceEqual(seen));
        Assert.Empty(Directory.GetFiles(directory["run"]));
    }

    // Each writer has a connection of its own, and writes down what it does.
    private static async Task<string[]> WriteUntilAsync(TemporaryDirectory directory, int round, Func<Task> killAsync)
    {
        var flushed = new SemaphoreSlim(0);
        var writers = Enumerable.Range(0, SlotPattern.WriterCount).Select(writer => WriteAsync(directory, writer, round, flushed)).ToArray();
        for (int flush = 0; flush < 2 + (3 * round); flush++)
            await flushed.WaitAsync(TimeSpan.FromSeconds(60));
        await killAsync();
        return [.. (await Task.WhenAll(writers)).SelectMany(lines => lines)];
    }

    private static async Task<List<string>> WriteAsync(TemporaryDirectory directory, int writer, int round, SemaphoreSlim flushed)
    {
        var lines = new List<string>();
        var random = new Random((round * 100) + writer);
        await using var client = await ConnectAsync(directory);
        try
        {
            for (int version = (round * 100_000) + 1; ; version++)
            {
                int slot = (random.Next(SlotPattern.SlotCount / SlotPattern.WriterCount) * SlotPattern.WriterCount) + writer;
                lines.Add($"begin {slot} {version}");
                await client.WriteAsync((long)slot * SlotPattern.SlotLength, SlotPattern.Bytes(slot, version));
                lines.Add($"end {slot}");
                if (version % 8 != 0)
                    continue;
                await client.FlushAsync();
                lines.Add($"flushed {writer}");
                flushed.Release();
            }
        }
        catch (Farspan.Backends.BackendException)
        {
            return lines;
        }
    }

    private static async Task<byte[]> ReadAsync(TemporaryDirectory directory)
    {
        byte[] bytes = new byte[SlotPattern.Length];
        await using var client = await ConnectAsync(directory);
        await client.ReadAsync(0, bytes);
        return bytes;
    }

    private static async Task<NbdClientBackend> ConnectAsync(TemporaryDirectory directory)
        => await NbdClientBackend.ConnectAsync(new NbdClientOptions { Endpoint = StreamEndpoint.Unix(directory["s"]), ReconnectTimeout = TimeSpan.Zero });
}
