using Farspan.EndToEnd.Tests.Migration.Rounds;
using Farspan.TestKit;
using Farspan.TestKit.Crashes;
using Xunit;
using Xunit.Abstractions;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A region there and back, with a number in every page, under cuts, kills and restarts: nothing that was acknowledged is lost, and at no moment do two write.</summary>
public sealed class RecordRoundsTests(ITestOutputHelper output)
{
    private const int Pages = 4096;

    [RequiresTheory("fuse", "root", "setsid", "bash", Timeout = 7_200_000)]
    [InlineData("pwrite")]
    [InlineData("mmap")]
    public async Task EveryAcknowledgedWrite_IsThere(string mode)
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        int seed = MoveRounds.Seed;
        var load = new RecordLoad(Directory.CreateDirectory(directory["load"]).FullName, Pages, mode, seed);
        await using var rounds = new MoveRounds(directory, load, Pages * NumberedPage.Length, seed, output);
        await rounds.RunAsync(MoveRounds.Rounds(3));
    }
}
