using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>The rules that a world goes by: the true ones, or with one of them broken.</summary>
internal sealed record RuleSet
{
    public static RuleSet True { get; } = new();

    public Func<RegionRecord, long, SeederState> StartSeeder { get; init; } = SeederRules.Start;

    public Func<SeederState, SeederRequest, SeederStep> Answer { get; init; } = SeederRules.Answer;

    public Func<SeederState, bool, SeederState> CompleteSeeder { get; init; } = SeederRules.Complete;

    public Func<SeederState, SeederState> Expire { get; init; } = SeederRules.Expire;

    public Func<SeederState, Guid, SeederState> TakeBackByForce { get; init; } = SeederRules.TakeBackByForce;

    public Func<LeecherState, Guid, LeecherStep> Begin { get; init; } = LeecherRules.Begin;

    public Func<LeecherState, SeederCall, SeederRequest?> Ask { get; init; } = LeecherRules.Ask;

    public Func<LeecherState, SeederRequest, SeederReply, LeecherStep> Receive { get; init; } = LeecherRules.Receive;

    public Func<LeecherState, SeederRequest, bool> MayStore { get; init; } = LeecherRules.MayStore;

    public Func<LeecherState, bool, LeecherState> CompleteLeecher { get; init; } = LeecherRules.Complete;

    public Func<LeecherState, LeecherState> Settle { get; init; } = LeecherRules.Settle;

    public Func<LeecherState, LeecherState> ForgetSeeder { get; init; } = LeecherRules.ForgetSeeder;

    public Func<LeecherState, LeecherState> GiveUp { get; init; } = LeecherRules.GiveUp;

    /// <summary>Whether the list of a round goes with the reply to Finalize where the leecher may not have got it.</summary>
    public bool RepeatsLostRound { get; init; } = true;

    /// <summary>
    /// Whether anybody looks at replies to requests of an older generation, and at requests for bytes of which only such replies can come. The true
    /// rules do not, so that those need not be followed.
    /// </summary>
    public bool MindsOldNotes { get; init; }

    /// <summary>Whether bytes that come never go over what the application has written.</summary>
    public bool KeepsOwnWrites { get; init; } = true;

    /// <summary>Whether a host whose move here has ended may be asked for the region.</summary>
    public Func<RegionRecord, bool> MaySeed { get; init; } = static record => record.Role == RegionRole.Owner && record.Token == Guid.Empty;

    /// <summary>Which roles may begin to follow.</summary>
    public Func<RegionRole, bool> MayBegin { get; init; } = static role => role is RegionRole.None or RegionRole.Released;

    public StoreRules Store { get; init; } = new();
}
