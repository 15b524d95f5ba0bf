using Farspan.EndToEnd.Tests.Migration.Rounds;
using Farspan.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A region there and back while fio writes it, under cuts, kills and restarts: on each host a fresh fio finds what was written on the other.</summary>
public sealed class FioRoundsTests(ITestOutputHelper output)
{
    private const int Length = 16 << 20;

    [RequiresFact("fuse", "root", "setsid", "bash", "fio", Timeout = 7_200_000)]
    public async Task FreshFio_VerifiesWhatTheOthersWrote()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        int seed = MoveRounds.Seed;
        var load = new FioLoad(Directory.CreateDirectory(directory["load"]).FullName, Length);
        await using var rounds = new MoveRounds(directory, load, Length, seed, output);
        await rounds.RunAsync(MoveRounds.Rounds(2));
    }
}
