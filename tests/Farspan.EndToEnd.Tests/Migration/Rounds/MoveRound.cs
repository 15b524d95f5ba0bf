using System.Diagnostics;
using Farspan.Migration;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>One move of the region from one host to the other, with its program, under the troubles of a plan.</summary>
internal sealed class MoveRound(RoundPlan plan, RoundHost source, RoundHost destination, MovedProgram program, RoundLoad load, RoundSettings settings)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(100);
    private static readonly TimeSpan s_asksAgain = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_betweenSignals = TimeSpan.FromSeconds(1.2);

    private readonly Dictionary<TroublePoint, long> _points = [];
    private readonly List<PlannedTrouble> _left = [.. plan.Troubles];
    private readonly List<(long At, Func<Task> Do)> _later = [];
    private long _asked;
    private bool _isLeechStopping;
    private bool _isSeedStopping;
    private bool _isSeedRefused;
    private bool _isForgotten;
    private int _programStartedFor = -1;

    /// <summary>Whether the destination's program has ended, with everything there.</summary>
    public bool HasDestinationEnded { get; private set; }

    private bool IsComplete => destination.Record is { Role: RegionRole.Owner } record && record.Token == Guid.Empty;

    private bool IsReleased => source.Record.Role == RegionRole.Released;

    /// <summary>Moves it; returns once everything is at the destination and the source has ended.</summary>
    public async Task RunAsync()
    {
        await BeginAsync();
        for (long begun = Now; ;)
        {
            settings.Look();
            ReachPoints();
            foreach (var trouble in _left.Where(IsDue).ToList())
            {
                _left.Remove(trouble);
                await MakeAsync(trouble);
            }

            foreach (var later in _later.Where(static later => later.At <= Now).ToList())
            {
                _later.Remove(later);
                await later.Do();
            }

            if (plan.LetsOldFail)
                await program.LetFailAsync(source);
            await KeepSourceAsync();
            await KeepDestinationAsync();
            if (IsComplete && IsReleased && !source.IsRunning && _later.Count == 0 && !_isLeechStopping && !_left.Exists(static trouble => trouble.Point == TroublePoint.Complete))
                return;
            if (Stopwatch.GetElapsedTime(begun) > s_limit)
                throw new TimeoutException($"The region did not arrive: {source.Name} {source.Record}, {destination.Name} {destination.Record}");
            await Task.Delay(10);
        }
    }

    private static long Now => Stopwatch.GetTimestamp();

    private static long After(TimeSpan time) => Now + (long)(time.TotalSeconds * Stopwatch.Frequency);

    private async Task BeginAsync()
    {
        program.WaitsAfterArrival = plan.WaitsAfterArrival;
        string[] behind = plan.Behind ? ["--behind", settings.Behind] : [];
        if (source.IsRunning)
            settings.Figures.Count("moved on by --listen");
        else
            await SeedAsync(behind);
        await KeepSourceAsync();
        long before = load.Acknowledged;
        await settings.UntilAsync(() => load.Acknowledged > before);
        string[] compress = plan.Compress ? ["--compress"] : [];
        string[] listen = plan.IsMovedOn ? ["--listen", destination.Listen, "--on-suspend", program.CommandFor(destination)] : [];
        await destination.StartAsync(
            ["leech", source.Uri, destination.Target, "--local", $"file:{destination.Store}", "--finalize", plan.Finalize, "--json", "--on-resume", program.CommandFor(destination), .. compress, .. behind, .. listen]);
    }

    private async Task SeedAsync(string[] behind)
    {
        if (plan.BySignals)
        {
            await program.StartAsync(source, Math.Max(1, source.Record.Epoch));
            _programStartedFor = source.Incarnation + 1;
        }

        string[] stops = plan.BySignals ? ["--program-group", $"{program.GroupAt(source)}"] : ["--on-suspend", program.CommandFor(source), "--on-resume", program.CommandFor(source)];
        await source.StartAsync(["seed", $"file:{source.Store}", source.Target, "--listen", source.Listen, "--chunk", settings.Chunk, "--json", .. stops, .. behind]);
        await source.Process.WaitUntilAsync(_ => source.Said("ready"), s_limit);
    }

    private void ReachPoints()
    {
        Reach(TroublePoint.Begun, true);
        var record = destination.Record;
        Reach(TroublePoint.Following, destination.Said("ready") || record.MayWrite);
        Reach(TroublePoint.HandedOver, source.Record.Role is RegionRole.HandedOver or RegionRole.Released);
        Reach(TroublePoint.Received, record.MayWrite);
        Reach(TroublePoint.Complete, IsComplete);

        void Reach(TroublePoint point, bool isReached)
        {
            if (isReached && _points.TryAdd(point, Now))
                settings.Note($"{point}");
        }
    }

    private bool IsDue(PlannedTrouble trouble) => _points.TryGetValue(trouble.Point, out long reached) && Stopwatch.GetElapsedTime(reached) >= trouble.Delay;

    private async Task MakeAsync(PlannedTrouble trouble)
    {
        settings.Note($"{trouble}");
        switch (trouble.Kind)
        {
            case Trouble.Cut:
                source.Line.Cut();
                settings.Figures.Count("cuts");
                _later.Add((After(trouble.Lasts), () => Done(source.Line.Restore)));
                break;
            case Trouble.Stall:
                source.Line.Hold();
                settings.Figures.Count("stalls");
                _later.Add((After(trouble.Lasts * 2), () => Done(source.Line.Release)));
                break;
            case Trouble.KillLeech when destination.IsRunning && !_isLeechStopping && !HasDestinationEnded:
                settings.Figures.Count($"kills of leech, {Role(destination)}");
                await destination.KillAsync();
                if (program.RunsAt(destination))
                    await program.CrashAsync(destination);
                _later.Add((After(trouble.Lasts), StartLeechAgainAsync));
                HasDestinationEnded = true;
                break;
            case Trouble.KillSeed when source.IsRunning && !_isSeedStopping:
                settings.Figures.Count($"kills of seed, {Role(source)}");
                await source.KillAsync();
                if (source.Record.MayWrite)
                    await program.CrashAsync(source);
                if (!IsReleased)
                    _later.Add((After(trouble.Lasts), StartSeedAgainAsync));
                break;
            case Trouble.StopLeech when destination.Said("ready") && destination.IsRunning && !_isLeechStopping && !HasDestinationEnded:
                settings.Figures.Count($"Ctrl-C at leech, {Role(destination)}");
                _isLeechStopping = true;
                await program.EndAsync(destination);
                await destination.Process.SignalAsync("INT");
                break;
            case Trouble.StopSeed when source.Said("ready") && source.IsRunning && !_isSeedStopping:
                settings.Figures.Count($"Ctrl-C at seed, {Role(source)}");
                (_isSeedStopping, _isSeedRefused) = (true, false);
                if (source.Record.MayWrite)
                    await program.EndAsync(source);
                await source.Process.SignalAsync("INT");
                break;
            case Trouble.Signal or Trouble.Finalize:
                await AskAsync(trouble.Kind);
                break;
        }
    }

    private static string Role(RoundHost host) => host.Record is { Role: RegionRole.Owner } record && record.Token != Guid.Empty ? "Owner, not told" : $"{host.Record.Role}";

    private static Task Done(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    private async Task AskAsync(Trouble how)
    {
        _asked = Now;
        if (!destination.Said("ready") || !destination.IsRunning || destination.Record.Role != RegionRole.Following)
            return;
        settings.Figures.Count($"asked for by {how}");
        if (how == Trouble.Signal)
            await destination.Process.SignalAsync("USR1");
        else
            await (await destination.RunAsync("finalize", destination.Target)).DisposeAsync();
    }

    private async Task StartLeechAgainAsync()
    {
        if (destination.IsRunning)
            return;
        settings.Figures.Count("restarts of leech");
        await destination.StartAgainAsync();
        HasDestinationEnded = IsComplete && !plan.IsMovedOn;
        if (!HasDestinationEnded)
            return;
        await destination.Process.WaitForExitAsync(s_limit);
        if (destination.Process.ExitCode != 1 || !destination.Process.Error.Contains("owns the region", StringComparison.Ordinal))
            throw new RoundFailedException($"a leech of what is here already does not say so: {destination.Process.Report}");
    }

    private async Task StartSeedAgainAsync()
    {
        settings.Figures.Count("restarts of seed");
        await source.StartAgainAsync();
    }

    private async Task KeepSourceAsync()
    {
        if (source.IsRunning)
        {
            if (source.Said("ready") && source.Record.MayWrite && _programStartedFor != source.Incarnation && !_isSeedStopping)
            {
                _programStartedFor = source.Incarnation;
                if (!program.RunsAt(source))
                    await program.StartAsync(source, source.Record.Epoch);
            }

            if (_isSeedStopping && !_isSeedRefused && source.Said("needed"))
            {
                _isSeedRefused = true;
                var process = source.Process;
                _later.Add((After(s_betweenSignals), () => process.SignalAsync("INT")));
            }

            return;
        }

        if (_isSeedStopping)
        {
            _isSeedStopping = false;
            if (source.Process.ExitCode != (source.Record.MayWrite || IsReleased ? 0 : 1))
                throw new RoundFailedException($"the seed did not end as it should after Ctrl-C: {source.Process.Report}");
            if (!IsReleased)
                _later.Add((After(TimeSpan.FromMilliseconds(100)), StartSeedAgainAsync));
        }
        else if (!IsReleased && source.Process.ExitCode != 137 && _later.Count == 0)
        {
            throw new RoundFailedException($"the seed ended by itself: {source.Process.Report}");
        }
    }

    private async Task KeepDestinationAsync()
    {
        if (destination.IsRunning)
        {
            bool isWaiting = plan.Finalize is "manual" or "cycle" && _asked != 0 && destination.Record.Role == RegionRole.Following;
            if (isWaiting && Stopwatch.GetElapsedTime(_asked) > s_asksAgain)
                await AskAsync(Trouble.Signal);
            await ForgetSourceAsync();
            return;
        }

        if (HasDestinationEnded)
            return;
        if (_isLeechStopping)
        {
            await StoppedAsync();
            return;
        }

        // Its source was away when it started; what it has to say of that is one line.
        string[] said = destination.Process.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (destination.Said("ready") || destination.Process.ExitCode != 1 || said.Length != 1)
            throw new RoundFailedException($"the leech ended by itself: {destination.Process.Report}");
        settings.Note(said[0]);
        settings.Figures.Count("starts of leech without a source");
        await Task.Delay(100);
        await StartLeechAgainAsync();
    }

    // Killed between the source's last answer and its own record: nobody is left who could answer again.
    private async Task ForgetSourceAsync()
    {
        if (_isForgotten || !IsReleased || source.IsRunning || destination.Record is not { Role: RegionRole.Owner } record || record.Token == Guid.Empty || !destination.Said("ready"))
            return;
        _isForgotten = true;
        settings.Figures.Count("ends without a source that has ended");
        await using var told = await destination.RunAsync("finalize", destination.Target, "--seeder-lost");
        if (told.ExitCode != 0)
            throw new RoundFailedException(told.Report);
    }

    private async Task StoppedAsync()
    {
        _isLeechStopping = false;
        settings.Note($"leech stopped, {destination.Record.Role}: {destination.Process.Error.TrimEnd()}");
        if (program.RunsAt(destination))
            await program.CrashAsync(destination);
        if (IsComplete)
        {
            HasDestinationEnded = true;
            return;
        }

        bool isGivenUp = destination.Said("given-up");
        if (isGivenUp != (destination.Process.ExitCode == 0))
            throw new RoundFailedException($"the leech did not end as it should after Ctrl-C: {destination.Process.Report}");
        settings.Figures.Count(isGivenUp ? "given up" : "stopped on the way");
        if (isGivenUp && source.IsRunning && source.Said("ready") && !_isSeedStopping)
        {
            long before = load.Acknowledged;
            await settings.UntilAsync(() => load.Acknowledged > before);
        }

        await StartLeechAgainAsync();
    }
}
