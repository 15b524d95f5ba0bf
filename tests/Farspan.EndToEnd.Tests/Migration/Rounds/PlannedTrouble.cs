namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>A trouble, and when it comes.</summary>
/// <param name="Kind">What.</param>
/// <param name="Point">The point that its time is counted from.</param>
/// <param name="Delay">The time after it.</param>
/// <param name="Lasts">How long until it is undone, or the program is started again.</param>
internal sealed record PlannedTrouble(Trouble Kind, TroublePoint Point, TimeSpan Delay, TimeSpan Lasts)
{
    public override string ToString() => $"{Kind} {Delay.TotalMilliseconds:0} ms after {Point}, for {Lasts.TotalMilliseconds:0} ms";
}
