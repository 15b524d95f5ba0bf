using Farspan.Migration;

namespace Farspan.Tests.Migration;

/// <summary>A program that a test starts.</summary>
internal sealed class WatchedHost(Func<ValueTask> resume) : ILeecherHost
{
    public ValueTask ResumeAsync(CancellationToken cancellationToken) => resume();
}
