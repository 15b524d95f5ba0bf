namespace Farspan.Migration;

/// <summary>A leecher between two events.</summary>
/// <param name="Record">The last record that is durable for certain.</param>
/// <param name="Next">The record that is being kept.</param>
/// <param name="Work">What goes on.</param>
/// <param name="Session">The seeder's recording that the copy is good for; 0 without one.</param>
/// <param name="Round">The last round received of it.</param>
/// <param name="Generation">One more with each change of what is proven; replies to requests of an older one are thrown away.</param>
internal readonly record struct LeecherState(
    RegionRecord Record, RegionRecord Next = default, LeecherWork Work = LeecherWork.None, long Session = 0, int Round = 0, long Generation = 0)
{
    /// <summary>Whether the application may run.</summary>
    public bool MayRun => Record.MayWrite && Work is not LeecherWork.Resuming;
}
