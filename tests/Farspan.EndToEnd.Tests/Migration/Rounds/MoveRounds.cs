using System.Globalization;
using System.Text;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit.Abstractions;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>
/// Rounds there and back: two hosts, which are processes of the program and directories, a line between them that can be cut, and a program whose region moves. After each round all is compared.
/// <c>FARSPAN_SEED</c> takes the seed of a failure, <c>FARSPAN_ROUNDS</c> says how many rounds.
/// </summary>
internal sealed class MoveRounds(TemporaryDirectory directory, RoundLoad load, long length, int seed, ITestOutputHelper output) : IAsyncDisposable
{
    private const int Page = 4096;

    private readonly RoundHost _a = new("A", directory.Path);
    private readonly RoundHost _b = new("B", directory.Path);
    private PeerProcess? _behind;
    private RoundPlan? _last;

    /// <summary>How many rounds a run takes.</summary>
    public static int Rounds(int usual) => Number("FARSPAN_ROUNDS") ?? (LongRun.IsAskedFor ? 100 : usual);

    /// <summary>The seed of this run.</summary>
    public static int Seed => Number("FARSPAN_SEED") ?? Environment.TickCount & 0xFFFF;

    /// <summary>Runs so many rounds.</summary>
    public async Task RunAsync(int rounds)
    {
        await load.MakeAsync(_a.Store);
        await using var program = new MovedProgram(load, _a, _b);
        await using var watch = new OneWriterWatch(_a, _b);
        string socket = directory["behind.sock"];
        _behind = PeerProcess.Start(RepositoryRoot.Combine("farspan"), ["serve", $"file:{directory["behind"]}?size={length}&lock=off", "--listen", $"farspan+unix:///?socket={socket}"], directory.Path);
        await _behind.WaitForSocketAsync(socket);
        var settings = new RoundSettings { Behind = $"farspan+unix:///?socket={socket}", Chunk = new Random(seed).Next(2) == 0 ? "4KiB" : "64KiB", Look = Look };
        for (int round = 0; round < rounds; round++)
        {
            var plan = Fit(RoundPlan.Of(seed, round), isLast: round == rounds - 1);
            var (source, destination) = round % 2 == 0 ? (_a, _b) : (_b, _a);
            settings.Forget();
            settings.Note($"{source.Name} to {destination.Name}: {plan}");
            try
            {
                await RoundAsync(plan, source, destination, program, settings);
            }
            catch (Exception error)
            {
                throw new RoundFailedException(Report(round, error, settings, rounds));
            }

            settings.Figures.Count("rounds");
            _last = plan;
        }

        output.WriteLine($"seed {seed}: {settings.Figures}, acknowledged {load.Acknowledged}, looks at both records {watch.Looks}");

        void Look()
        {
            if ((watch.Seen ?? program.Wrong) is { } wrong)
                throw new RoundFailedException(wrong);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _a.DisposeAsync();
        await _b.DisposeAsync();
        if (_behind is not null)
            await _behind.DisposeAsync();
    }

    // What is moved on stays as it was started.
    private RoundPlan Fit(RoundPlan plan, bool isLast)
    {
        if (isLast)
            plan = plan with { IsMovedOn = false };
        return _last is { IsMovedOn: true } && (_a.IsRunning || _b.IsRunning) ? plan with { BySignals = false, Behind = _last.Behind } : plan;
    }

    private async Task RoundAsync(RoundPlan plan, RoundHost source, RoundHost destination, MovedProgram program, RoundSettings settings)
    {
        var round = new MoveRound(plan, source, destination, program, load, settings);
        await round.RunAsync();
        settings.Note("arrived");
        await OneMayWriteAsync(destination, source);
        long epoch = destination.Record.Epoch;
        if (!round.HasDestinationEnded)
            await destination.Process.WaitUntilAsync(_ => destination.Said("ready"));
        if (plan.WaitsAfterArrival && !round.HasDestinationEnded)
        {
            Same(await File.ReadAllBytesAsync(source.Store), await File.ReadAllBytesAsync(destination.Target), "what its program sees and the source's copy");
            settings.Figures.Count("whole copies compared");
            await program.StartAsync(destination, epoch);
        }

        if (!round.HasDestinationEnded)
        {
            long before = load.Acknowledged;
            await settings.UntilAsync(() => load.Acknowledged > before + 1);
            await program.StopAsync(destination);
        }

        string seen = round.HasDestinationEnded ? destination.Store : destination.Target;
        await CompareWithSourceAsync(source, seen, epoch);
        await program.EndAsync(source);
        if (plan is { IsMovedOn: true, KeepsProgram: true } && !round.HasDestinationEnded)
        {
            settings.Look();
            settings.Figures.Count("arrivals of a program that was kept");
            await program.ContinueAsync(destination);
            return;
        }

        await program.EndAsync(destination);
        await load.CheckAsync(seen);
        settings.Look();
        if (!round.HasDestinationEnded)
            await EndAsync(plan, destination, await FlushedAsync(seen));
        settings.Figures.Count("states compared");
    }

    private async Task EndAsync(RoundPlan plan, RoundHost destination, byte[] atLast)
    {
        if (!plan.IsMovedOn)
        {
            await destination.Process.SignalAsync("INT");
            await destination.Process.WaitForExitAsync(TimeSpan.FromSeconds(60));
            if (destination.Process.ExitCode != 0)
                throw new RoundFailedException($"the leech failed at its end: {destination.Process.Report}");
        }

        Same(atLast, await CopyOfAsync(destination.Store), "the store and what its program saw");
        if (plan.Behind)
            Same(atLast, await CopyOfAsync(directory["behind"]), "the store behind and what its program saw");
    }

    // Whoever has it, has it locked.
    private async Task<byte[]> CopyOfAsync(string store)
    {
        await PeerProcess.RunOkAsync("cp", [store, directory["copy"]]);
        return await File.ReadAllBytesAsync(directory["copy"]);
    }

    // As an operator asks.
    private static async Task OneMayWriteAsync(RoundHost destination, RoundHost source)
    {
        await using var there = await destination.RunAsync("region", destination.Store, "--json");
        await using var here = await source.RunAsync("region", source.Store, "--json");
        if (!there.Output.Contains("\"mayWrite\":true", StringComparison.Ordinal) || !here.Output.Contains("\"mayWrite\":false", StringComparison.Ordinal))
            throw new RoundFailedException($"not just the destination may write: {there.Report}{here.Report}");
    }

    private async Task CompareWithSourceAsync(RoundHost source, string seen, long epoch)
    {
        byte[] now = seen.EndsWith("target", StringComparison.Ordinal) ? await FlushedAsync(seen) : await File.ReadAllBytesAsync(seen);
        byte[] before = await File.ReadAllBytesAsync(source.Store);
        for (int page = 0; page < now.Length / Page; page++)
        {
            var here = now.AsSpan(page * Page, Page);
            if (!here.SequenceEqual(before.AsSpan(page * Page, Page)) && !load.MayDiffer(here, page, epoch))
                throw new RoundFailedException($"page {page} is another one than at the source, and was not written since");
        }
    }

    private static async Task<byte[]> FlushedAsync(string file)
    {
        using (var opened = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
            RandomAccess.FlushToDisk(opened);
        return await File.ReadAllBytesAsync(file);
    }

    private static void Same(byte[] one, byte[] other, string what)
    {
        if (!one.AsSpan().SequenceEqual(other))
            throw new RoundFailedException($"{what} differ, first in page {one.AsSpan().CommonPrefixLength(other) / Page} (lengths {one.Length} and {other.Length})");
    }

    private string Report(int round, Exception error, RoundSettings settings, int rounds)
    {
        var report = new StringBuilder();
        report.AppendLine(CultureInfo.InvariantCulture, $"round {round} of {rounds}, FARSPAN_SEED={seed}: {(error is RoundFailedException ? error.Message : error.ToString())}");
        foreach (string note in settings.Notes)
            report.AppendLine(note);
        foreach (var host in new[] { _a, _b })
            report.AppendLine(CultureInfo.InvariantCulture, $"── {host.Name}: {host.Record}").AppendLine(host.Reports);
        return report.Append(settings.Figures).ToString();
    }

    private static int? Number(string name)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
