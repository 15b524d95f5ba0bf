using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>
/// Visits every world that can come of the first one, the nearest first, and judges each. Then it walks back from the worlds in which an application
/// runs, to find those from which none can be reached.
/// </summary>
internal sealed class Explorer
{
    private readonly Dictionary<ModelKey, int> _numbers = [];
    private readonly List<(int From, ModelEvent What)> _ways = [];
    private readonly List<(int From, int To, ModelStep Step)> _steps = [];
    private readonly Queue<(int Number, ModelWorld World)> _next = new();
    private readonly List<Facts> _facts = [];
    private readonly ModelLimits _limits;
    private readonly ModelMoves _moves;
    private int _from;
    private string? _failure;

    public Explorer(RuleSet rules, ModelLimits limits)
    {
        _limits = limits;
        _moves = new ModelMoves(rules, limits, Find);
    }

    public int Worlds => _numbers.Count;

    public int Steps => _steps.Count;

    /// <summary>How a promise can be broken, with all steps to it; null where it cannot.</summary>
    public string? Run()
    {
        _from = -1;
        Find(ModelStep.None, new(0, "owns the region"), ModelWorld.Begin(_limits.HasStore));
        while (_failure is null && _next.TryDequeue(out var next))
        {
            _from = next.Number;
            _moves.List(next.World);
        }

        return _failure ?? Stuck(
                "nobody can go on", ModelStep.Fault | ModelStep.Force | ModelStep.Choice, facts => facts.CanWork, static facts => facts is { IsForced: false, HasLost: false })
            ?? Stuck("nobody can go on after a loss", ModelStep.Fault | ModelStep.Choice, static facts => facts.IsSettled, static facts => facts is { IsForced: false, HasLost: true })
            ?? Stuck(
                "the first host cannot go on without the second", ModelStep.Fault | ModelStep.Choice, static facts => facts.FirstRuns,
                static facts => facts.FirstCanBeMade, ModelStep.First)
            ?? Stuck(
                "the second host cannot go on without the first", ModelStep.Fault | ModelStep.Choice, static facts => facts.SecondRuns,
                static facts => facts.SecondCanBeMade, ModelStep.Second);
    }

    private void Find(ModelStep step, ModelEvent what, ModelWorld world)
    {
        if (_failure is not null)
            return;
        var key = world.Key();
        if (!_numbers.TryGetValue(key, out int number))
        {
            number = _numbers.Count;
            if (number >= _limits.Worlds)
                throw new InvalidOperationException($"There are more than {number} worlds.");
            _numbers.Add(key, number);
            _ways.Add((_from, what));
            _facts.Add(Facts.Of(world));
            if (ModelJudge.Judge(world) is { } failure)
            {
                _failure = Tell(number, failure);
                return;
            }

            _next.Enqueue((number, world));
        }

        if (_from >= 0 && number != _from)
            _steps.Add((_from, number, step));
    }

    private string? Stuck(string what, ModelStep without, Predicate<Facts> isGoal, Predicate<Facts> isAsked, ModelStep only = ModelStep.None)
    {
        var (starts, sources) = Backwards(step => (step.Step & without) == 0 && (only == ModelStep.None || (step.Step & only) != 0));
        bool[] reaches = new bool[_facts.Count];
        var open = new Stack<int>();
        for (int i = 0; i < reaches.Length; i++)
        {
            if (!isGoal(_facts[i]))
                continue;
            reaches[i] = true;
            open.Push(i);
        }

        while (open.TryPop(out int number))
        {
            foreach (int from in sources.AsSpan(starts[number], starts[number + 1] - starts[number]))
            {
                if (reaches[from])
                    continue;
                reaches[from] = true;
                open.Push(from);
            }
        }

        int stuck = Enumerable.Range(0, reaches.Length).FirstOrDefault(i => !reaches[i] && isAsked(_facts[i]), -1);
        return stuck < 0 ? null : Tell(stuck, what);
    }

    // For each world the worlds that lead to it: those of world n are from starts[n] on.
    private (int[] Starts, int[] Sources) Backwards(Predicate<(int From, int To, ModelStep Step)> isOpen)
    {
        var steps = _steps.FindAll(isOpen);
        int[] starts = new int[_facts.Count + 1];
        foreach (var (_, to, _) in steps)
            starts[to + 1]++;
        for (int i = 1; i < starts.Length; i++)
            starts[i] += starts[i - 1];
        int[] next = [.. starts];
        int[] sources = new int[steps.Count];
        foreach (var (from, to, _) in steps)
            sources[next[to]++] = from;
        return (starts, sources);
    }

    private string Tell(int number, string failure)
    {
        var steps = new List<string>();
        for (int i = number; i >= 0; i = _ways[i].From)
            steps.Add(_ways[i].What.ToString());
        steps.Reverse();
        return $"{failure} after: {string.Join("; ", steps)}";
    }

    private readonly record struct Facts(
        bool CanWork, bool IsSettled, bool IsForced, bool HasLost, bool FirstRuns, bool SecondRuns, bool FirstCanBeMade, bool SecondCanBeMade)
    {
        public static Facts Of(ModelWorld world) => new(
            CanWorkAt(world, 0) || CanWorkAt(world, 1), IsSettledAt(world, 0) || IsSettledAt(world, 1), world.Forced != 0, world.HasLost,
            world.Hosts[0].IsRunning, world.Hosts[1].IsRunning, CanBeMade(world, 0), CanBeMade(world, 1));

        private static bool CanWorkAt(ModelWorld world, int host)
        {
            ref readonly var at = ref world.Hosts[host];
            return at is { IsRunning: true, Kind: ModelKind.Valid } && at.Disk.Region == world.Main
                && (!world.Store.Exists || at.Mirror.Line == ModelLine.IsInLine);
        }

        private static bool IsSettledAt(ModelWorld world, int host)
            => CanWorkAt(world, host) && world.Hosts[host].Disk.Role == RegionRole.Owner && world.Hosts[host].Disk.Token == Guid.Empty;

        // The operator forces once in a model, and not over a store. Whoever lets go was told that the other one has everything.
        private static bool CanBeMade(ModelWorld world, int host) => world.Hosts[host].Disk.Role switch
        {
            RegionRole.Receiving => true,
            RegionRole.Owner => (world.Forced == 0 && !world.Store.Exists)
                || world.Hosts[host].Seeder.Work is not (SeederWork.Suspending or SeederWork.Flushing or SeederWork.Committing),
            RegionRole.HandedOver => world is { Forced: 0, Store.Exists: false } && world.Hosts[host].Seeder.Work != SeederWork.Releasing,
            _ => false,
        };
    }
}
