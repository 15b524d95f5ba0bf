using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>As <see cref="ModelMutants"/>, of a store behind the region, and of moves that begin where another one ended.</summary>
internal static class ModelStoreMutants
{
    public static IReadOnlyList<(string Name, RuleSet Rules)> All { get; } =
    [
        ("a flush does not wait for the store", With(new() { HoldsFlushes = false })),
        ("a region is handed over before the store has it", With(new() { HoldsHandOvers = false })),
        ("an owner that was started anew takes the store to be in line", With(new() { ComparesAfterStart = false })),
        ("an owner that seeds takes the store to be in line", With(new() { ComparesToSeed = false })),
        ("the store takes writes of an older lease", With(new() { Fences = false })),
        ("a write goes on behind a flush that was given up", With(new() { LetsWritesEnd = false })),
        ("a flush looks for changes after it made them durable", With(new() { LooksBeforeFlush = false })),
        ("what differs is carried before it is durable here", With(new() { ComparesWhatIsDurable = false })),
        ("a lease that was lost is lost", With(new() { Regains = false })),
        ("a store that was lost is in line when it was got again", With(new() { ComparesWhatWasLost = false })),
        ("what is missing comes from the store before the hand-over", With(new() { IsReadByOwners = false })),
        ("who handed over takes the lease", With(new() { IsTakenByOwners = false })),
        ("what is seeded anew keeps its name", With(new() { NamesAnew = false })),
        ("a region is seeded before all of it is here", new RuleSet
        {
            MaySeed = static record => record.MayWrite,
            Answer = (state, request) =>
            {
                bool isReceiving = state.Record.Role == RegionRole.Receiving;
                var asked = isReceiving ? state with { Record = state.Record with { Role = RegionRole.Owner, Token = Guid.Empty } } : state;
                var step = SeederRules.Answer(asked, request);
                return isReceiving && step.State.Record == asked.Record ? step with { State = step.State with { Record = state.Record } } : step;
            },
        }),
    ];

    private static RuleSet With(StoreRules store) => new() { Store = store };
}
