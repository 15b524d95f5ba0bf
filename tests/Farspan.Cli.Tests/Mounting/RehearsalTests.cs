using Farspan.Cli.Mounting;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class RehearsalTests
{
    [Fact(Timeout = 120_000)]
    public Task Started_ReadsWritesAndEnds() => Rehearsal.Start();
}
