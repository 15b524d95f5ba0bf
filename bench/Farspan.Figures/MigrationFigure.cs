using System.Reflection;
using Farspan.Backends;
using Farspan.Linux.Migration;
using Farspan.Migration.Finalizing;
using Farspan.Transports;

namespace Farspan.Figures;

/// <summary>
/// A region of 1 GiB that moves while its program writes 50 MB/s to it, over a line of 1 Gbit/s: by the policy that is the default, by stopping the program and
/// copying everything, and by moving the program first and everything after it.
/// </summary>
internal static class MigrationFigure
{
    private const int Length = 1 << 30;
    private const double WriteRate = 50e6;

    public static async Task RunAsync(FigureOptions options)
    {
        var contenders = new[] { new Contender("farspan", "auto", null), new Contender("stop and copy", "stop", null), new Contender("post-copy", "post", null) };
        var report = new Report("A region of 1 GiB moves over 1 Gbit/s while its program writes 50 MB/s", [.. contenders.Select(c => c.Name)]);
        foreach (int delay in new[] { 1, 25, 100 })
        {
            var moves = new Dictionary<(string Way, int Round), Move>();
            var next = contenders.ToDictionary(c => c.Path, _ => 0);
            foreach (var (name, unit, aim, figure) in Questions(delay))
            {
                foreach (string way in next.Keys)
                    next[way] = 0;
                await report.MeasureAsync(
                    new Workload($"{delay} ms round trip: {name}", unit, MoreIsBetter: false, aim, async contender =>
                    {
                        int round = next[contender.Path]++;
                        if (!moves.TryGetValue((contender.Path, round), out var move))
                            moves.Add((contender.Path, round), move = await MoveAsync(options, delay, contender.Path));
                        return figure(move);
                    }),
                    contenders, options.Rounds);
            }
        }

        await report.WriteAsync(
            options.Output, "migrate",
            """
            Downtime: from the order to stand still until the program was let go on. Longest gap: between the ends of two writes, which it makes every 1.3 ms; with what
            it waits for at the new host. Bytes: those of chunks that came, by those of the region and of what was written until everything was there. Writes are 64 KiB
            at random places. Both hosts, the program and the line share one machine.

            """);
    }

    private static (string Name, string Unit, string Aim, Func<Move, double> Figure)[] Questions(int delay) =>
    [
        ("downtime", "ms", $"{delay + 10} ms", move => move.Downtime.TotalMilliseconds),
        ("longest gap between two writes", "ms", "", move => move.LongestGap.TotalMilliseconds),
        ("bytes sent, of region and written", "x", "1.1", move => move.Sent),
        ("until everything was there", "s", "", move => move.Total.TotalSeconds),
    ];

    private static async Task<Move> MoveAsync(FigureOptions options, int delay, string way)
    {
        string scratch = Directory.CreateDirectory(Path.Combine(options.Scratch, $"move-{Guid.NewGuid():N}")).FullName;
        string target = Path.Combine(scratch, "t.sock"), line = Path.Combine(scratch, "l.sock");
        var store = new MemoryBackend(Length);
        byte[] block = new byte[1 << 20];
        var random = new Random(3);
        for (long at = 0; at < Length; at += block.Length)
        {
            random.NextBytes(block);
            await store.WriteAsync(at, block);
        }

        using var program = new MovingProgram(WriteRate);
        await using var source = await Migrator.SeedAsync(store, new MigratorOptions { StateDirectory = Path.Combine(scratch, "a"), Suspend = _ => program.SuspendAsync() });
        await source.ListenAsync(StreamListener.Bind(StreamEndpoint.Unix(target)));
        await using var relay = new Contender(
            "line", line, Shell.Start(Environment.ProcessPath!, Assembly.GetExecutingAssembly().Location, "relay", $"rtt={delay}ms,rate=1Gbit", line, target));
        await Shell.WaitAsync("the line", () => File.Exists(line));
        program.Start(source);
        await Task.Delay(500);

        var began = System.Diagnostics.Stopwatch.StartNew();
        long before = program.Written;
        Migrator? destination = null;
        var opened = new TaskCompletionSource();
        destination = await Migrator.LeechAsync($"farspan+unix:///?socket={line}", new MemoryBackend(Length), new MigratorOptions
        {
            StateDirectory = Path.Combine(scratch, "b"), Policy = way == "auto" ? new AutoFinalize() : new FixedFinalize(TimeSpan.Zero),
            Resume = async token =>
            {
                await opened.Task.WaitAsync(token);
                if (way != "stop")
                    program.GoOn(destination!);
            },
        });
        opened.SetResult();
        await destination.Completed;
        if (way == "stop")
            program.GoOn(destination);
        var total = began.Elapsed;
        long written = program.Written - before;
        await Task.Delay(200);
        await program.EndAsync();
        var move = new Move(program.Downtime, program.LongestGap, (double)destination.Status.ReceivedBytes / (Length + written), total);
        await destination.DisposeAsync();
        return move;
    }

    private sealed record Move(TimeSpan Downtime, TimeSpan LongestGap, double Sent, TimeSpan Total);
}
