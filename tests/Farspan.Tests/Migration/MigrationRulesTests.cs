using Farspan.TestKit;
using Farspan.Tests.Migration.Model;
using Xunit;
using Xunit.Abstractions;

namespace Farspan.Tests.Migration;

/// <summary>
/// The rules of both hosts, with everything that can happen between them and to them: each order of messages, lost, late and repeated, crashes at
/// each step, records that fail and are kept or not.
/// </summary>
public sealed class MigrationRulesTests(ITestOutputHelper output)
{
    private static readonly ModelLimits Usual = new(Faults: 1, Moves: 1, Writes: 1, Notes: 2, Rounds: 1);
    private static readonly ModelLimits Few = new(Faults: 1, Moves: 1, Writes: 2, Notes: 1, Rounds: 1);
    private static readonly ModelLimits ThereAndBack = new(Faults: 1, Moves: 2, Writes: 1, Notes: 1, Rounds: 0);
    private static readonly ModelLimits Repeated = new(Faults: 0, Moves: 2, Writes: 1, Notes: 2, Rounds: 0);

    private static readonly ModelLimits WithStore = new(Faults: 1, Moves: 1, Writes: 2, Notes: 1, Rounds: 0, HasStore: true);
    private static readonly ModelLimits AfterALoss = new(Faults: 1, Moves: 2, Writes: 1, Notes: 1, Rounds: 0, HasStore: true);

    public static TheoryData<string> StoreMutants { get; } = [.. ModelStoreMutants.All.Select(mutant => mutant.Name)];

    public static TheoryData<string> Mutants { get; } = [.. ModelMutants.All.Select(mutant => mutant.Name)];

    [Fact(Timeout = 120_000)]
    public Task OneMove_KeepsEveryPromiseInEveryWorld() => Explore(Usual);

    [Fact(Timeout = 120_000)]
    public Task TwoMoves_KeepEveryPromiseInEveryWorld() => Explore(ThereAndBack);

    [Fact(Timeout = 120_000)]
    public Task TwoMovesWithRepeatedMessages_KeepEveryPromiseInEveryWorld() => Explore(Repeated);

    [Fact(Timeout = 120_000)]
    public Task AStoreBehindTheRegion_KeepsEveryPromiseInEveryWorld() => Explore(WithStore);

    [Fact(Timeout = 120_000)]
    public Task AHostThatIsLost_AndAnotherMove_KeepEveryPromiseInEveryWorld() => Explore(AfterALoss);

    [Fact(Timeout = 3_600_000)]
    public Task ManyFaultsAroundAStore_KeepEveryPromise()
        => LongRun.IsAskedFor ? Explore(new(Faults: 2, Moves: 2, Writes: 2, Notes: 1, Rounds: 0, HasStore: true, Worlds: 40_000_000)) : Task.CompletedTask;

    [Fact(Timeout = 3_600_000)]
    public Task ManyFaults_KeepEveryPromise()
        => LongRun.IsAskedFor ? Explore(new(Faults: 2, Moves: 2, Writes: 2, Notes: 2, Rounds: 1, Worlds: 40_000_000)) : Task.CompletedTask;

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Mutants))]
    public Task ABrokenRule_IsCaught(string name)
    {
        var rules = ModelMutants.All.Single(mutant => mutant.Name == name).Rules;
        string? failure = new[] { Few, ThereAndBack, Repeated, Usual }.Select(limits => new Explorer(rules, limits).Run()).FirstOrDefault(found => found is not null);
        output.WriteLine(failure ?? "nothing");
        Assert.NotNull(failure);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(StoreMutants))]
    public Task ABrokenRuleOfTheStore_IsCaught(string name)
    {
        var rules = ModelStoreMutants.All.Single(mutant => mutant.Name == name).Rules;
        string? failure = new[] { WithStore, AfterALoss }.Select(limits => new Explorer(rules, limits).Run()).FirstOrDefault(found => found is not null);
        output.WriteLine(failure ?? "nothing");
        Assert.NotNull(failure);
        return Task.CompletedTask;
    }

    private Task Explore(ModelLimits limits)
    {
        var explorer = new Explorer(RuleSet.True, limits);
        string? failure = explorer.Run();
        output.WriteLine($"{explorer.Worlds} worlds, {explorer.Steps} steps: {failure}");
        Assert.Null(failure);
        return Task.CompletedTask;
    }
}
