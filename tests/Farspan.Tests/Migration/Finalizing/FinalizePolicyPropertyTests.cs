using Farspan.Migration.Finalizing;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

/// <summary>What holds of each policy for any progress at all, also one that no migration has.</summary>
public sealed class FinalizePolicyPropertyTests
{
    private static readonly TimeSpan s_waiting = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_end = TimeSpan.FromMinutes(10);
    private static readonly AutoFinalizeOptions s_auto = new() { Deadline = s_end, MostRounds = 20, MostSent = 2 };

    private static readonly IFinalizePolicy[] s_policies =
        [new ManualFinalize(), new FixedFinalize(s_end), new AutoFinalize(s_auto), new CycleFinalize(new CycleFinalizeOptions { Auto = s_auto, Deadline = s_waiting })];

    [Fact]
    public void EachStep_IsOneAndItsDelayIsWithinBounds()
        => Prop.ForAll(Arb.From(AnyProgress()), progress => s_policies.All(policy => IsValid(policy.Next(progress)))).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void SameProgress_SameStep()
        => Prop.ForAll(Arb.From(AnyProgress()), progress => s_policies.All(policy => policy.Next(progress) == policy.Next(progress))).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void NoPolicyButByHand_GoesBeyondItsDeadline()
        => Prop.ForAll(Arb.From(AnyProgress()), progress => s_policies.Skip(1).All(policy =>
        {
            var step = policy.Next(progress);
            return progress.Elapsed >= s_end ? step.Action == FinalizeAction.Finalize : step.Action == FinalizeAction.Finalize || progress.Elapsed + step.Delay <= s_end;
        })).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void CycleWithoutMoreTimeToWait_DoesAsAuto()
        => Prop.ForAll(Arb.From(AnyProgress()), progress =>
        {
            var late = progress with { Elapsed = progress.Elapsed + s_waiting };
            var step = s_policies[3].Next(late);
            return step.Action != FinalizeAction.Watch && (step.Action != FinalizeAction.Round || step.Delay == TimeSpan.Zero);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void LimitsOfRoundsAndBytes_AreKept()
        => Prop.ForAll(Arb.From(AnyProgress()), progress =>
        {
            var step = s_policies[2].Next(progress);
            bool sentAll = progress.SentBytes >= s_auto.MostSent * progress.RegionBytes;
            return (!sentAll || s_policies.Skip(2).All(policy => policy.Next(progress).Action == FinalizeAction.Finalize))
                && (progress.Rounds < s_auto.MostRounds || step.Action != FinalizeAction.Round);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void ByHand_NeverFinalizes()
        => Prop.ForAll(Arb.From(AnyProgress()), progress => s_policies[0].Next(progress).Action != FinalizeAction.Finalize).QuickCheckThrowOnFailure();

    private static bool IsValid(FinalizeStep step)
        => Enum.IsDefined(step.Action) && step.Delay >= TimeSpan.Zero && step.Delay <= FinalizeStep.LongestDelay;

    private static Gen<PreCopyProgress> AnyProgress()
    {
        var time = Gen.Frequency(
            (6, Gen.Choose(0, 700_000).Select(ms => TimeSpan.FromMilliseconds(ms))), (1, Gen.Constant(TimeSpan.Zero)), (1, Gen.Constant(TimeSpan.FromDays(10_000))));
        var bytes = Gen.Frequency(
            (6, Gen.Choose(0, int.MaxValue).Select(n => (long)n)), (1, Gen.Constant(0L)), (1, Gen.Constant(long.MaxValue)), (1, Gen.Constant(1L << 50)));
        var rate = Gen.Frequency(
            (6, Gen.Choose(0, int.MaxValue).Select(n => (double)n)),
            (3, Gen.Elements(0, 1e-300, double.MaxValue, double.NaN, double.PositiveInfinity, double.NegativeInfinity, -1)));
        var length = Gen.Frequency((6, Gen.Choose(0, 2000)), (1, Gen.Elements(0, 1, 50_000_000)));
        var anySample = from l in length from b in bytes select (Length: l, Bytes: b);

        // By turns much and little, as well as anything: phases have to be met often.
        var phased = from busy in Gen.Choose(1, 20) from quiet in Gen.Choose(1, 20) from count in Gen.Choose(0, 200)
                     select Enumerable.Range(0, count).Select(i => (Length: 500, Bytes: i % (busy + quiet) < busy ? 30_000_000L : 100_000L)).ToArray();
        var samples = Gen.OneOf(anySample.ArrayOf(), phased);
        return from elapsed in time
               from rounds in Gen.Choose(0, 40)
               from region in bytes
               from missing in bytes
               from sent in bytes
               from line in rate
               from roundTrip in Gen.Choose(0, 500)
               from written in samples
               from sane in Gen.Elements(true, false)
               select new PreCopyProgress(
                   elapsed, rounds, region, sane ? Math.Min(missing, region) : missing, sent, line, TimeSpan.FromMilliseconds(roundTrip), Timed(written));
    }

    private static List<WriteSample> Timed(IEnumerable<(int Length, long Bytes)> written)
    {
        var list = new List<WriteSample>();
        var at = TimeSpan.Zero;
        foreach (var (length, bytes) in written)
        {
            at += TimeSpan.FromMilliseconds(length);
            list.Add(new WriteSample(at, TimeSpan.FromMilliseconds(length), bytes));
        }

        return list;
    }
}
