namespace Farspan.Migration;

/// <summary>What starts the program that uses a region, on the host that it goes to. One call at a time.</summary>
internal interface ILeecherHost
{
    /// <summary>Lets the program run. Tried again until it succeeds, or the leecher is closed.</summary>
    /// <param name="cancellationToken">Cancelled when it has taken too long; then it ends soon, by throwing.</param>
    ValueTask ResumeAsync(CancellationToken cancellationToken);
}
