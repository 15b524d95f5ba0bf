namespace Farspan.Migration;

/// <summary>A seeder between two events.</summary>
/// <param name="Record">The last record that is durable for certain.</param>
/// <param name="Next">The record that is being kept; whether it is durable is not known until the work has ended.</param>
/// <param name="Work">What goes on.</param>
/// <param name="Token">The leecher whose session is open; zero without one.</param>
/// <param name="Session">The recording that is open or, after the hand-over, was; 0 where this run has none.</param>
/// <param name="LastSession">The highest number used. A run begins above what others before it can have used.</param>
/// <param name="Round">The last round taken.</param>
/// <param name="IsGivenUp">The leecher gave up while something went on.</param>
internal readonly record struct SeederState(
    RegionRecord Record, RegionRecord Next = default, SeederWork Work = SeederWork.None, Guid Token = default, long Session = 0,
    long LastSession = 0, int Round = 0, bool IsGivenUp = false)
{
    /// <summary>Whether the application may run: there is no moment at which this host and another say so of one region.</summary>
    public bool MayRun => Record.MayWrite && Work == SeederWork.None;
}
