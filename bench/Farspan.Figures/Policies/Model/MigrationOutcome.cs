namespace Farspan.Figures.Policies.Model;

/// <summary>How a migration of the model went.</summary>
/// <param name="AskedAt">When the hand-over was asked for, in seconds since the copy began.</param>
/// <param name="MissingBytes">What was missing at the destination when its program began.</param>
/// <param name="DegradedSeconds">For how long that took to come.</param>
/// <param name="SentBytes">All that was copied, before and after.</param>
/// <param name="Rounds">Rounds taken.</param>
internal sealed record MigrationOutcome(double AskedAt, double MissingBytes, double DegradedSeconds, double SentBytes, int Rounds)
{
    /// <summary>From the beginning of the copy until everything is at the destination.</summary>
    public double TotalSeconds => AskedAt + DegradedSeconds;
}
