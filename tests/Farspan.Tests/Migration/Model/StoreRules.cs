namespace Farspan.Tests.Migration.Model;

/// <summary>The rules of a store behind a region, each of which may be broken.</summary>
internal sealed record StoreRules
{
    /// <summary>Whether a flush waits for what is on its way to the store.</summary>
    public bool HoldsFlushes { get; init; } = true;

    /// <summary>Whether the hand-over waits for such a flush.</summary>
    public bool HoldsHandOvers { get; init; } = true;

    /// <summary>Whether an owner that was started anew compares the store.</summary>
    public bool ComparesAfterStart { get; init; } = true;

    /// <summary>Whether an owner that seeds the region again compares it.</summary>
    public bool ComparesToSeed { get; init; } = true;

    /// <summary>Whether the store refuses writes of leases before the last.</summary>
    public bool Fences { get; init; } = true;

    /// <summary>Whether a write goes on, and the next one waits, where the flush that made it was given up.</summary>
    public bool LetsWritesEnd { get; init; } = true;

    /// <summary>Whether a flush looks for changes before it makes them durable here.</summary>
    public bool LooksBeforeFlush { get; init; } = true;

    /// <summary>Whether what is found to differ is durable here before it is carried.</summary>
    public bool ComparesWhatIsDurable { get; init; } = true;

    /// <summary>Whether an owner that lost the lease takes it again.</summary>
    public bool Regains { get; init; } = true;

    /// <summary>Whether the store is compared once it was got again.</summary>
    public bool ComparesWhatWasLost { get; init; } = true;

    /// <summary>Whether what is missing comes from the store after the hand-over only.</summary>
    public bool IsReadByOwners { get; init; } = true;

    /// <summary>Whether owners alone take the lease.</summary>
    public bool IsTakenByOwners { get; init; } = true;

    /// <summary>Whether what is seeded anew from the store has a new name.</summary>
    public bool NamesAnew { get; init; } = true;
}
