namespace Farspan.Migration.Finalizing;

/// <summary>
/// Decides when a migration asks for the hand-over. Until then the program runs at its source while the region is copied; from then until it runs at
/// the destination it stands still, and what is missing at that moment comes afterwards, on demand first.
/// </summary>
/// <remarks>
/// <para>
/// A policy is asked, one call at a time: when a session begins, with nothing copied yet; after each round, when its list has arrived; when all that is
/// known to be missing has been copied; when the delay of its last answer is over; and when a hand-over that it wanted was refused. It may be asked more
/// often than that. Each answer replaces the one before, with its delay.
/// </para>
/// <para>
/// All that a policy may use is what it is given, so that a migration can be repeated in a simulation: no clock, no randomness, no IO. Those of Farspan keep
/// nothing between calls either; one object can serve any number of migrations.
/// </para>
/// </remarks>
public interface IFinalizePolicy
{
    /// <summary>What to do now.</summary>
    /// <param name="progress">How far the copy is.</param>
    /// <returns>A step with a delay that is not negative. A policy that throws is asked again after a while; what it threw is the move's trouble until then.</returns>
    FinalizeStep Next(in PreCopyProgress progress);
}
