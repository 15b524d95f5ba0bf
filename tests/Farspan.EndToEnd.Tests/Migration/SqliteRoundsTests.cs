using Farspan.EndToEnd.Tests.Migration.Rounds;
using Farspan.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A database there and back while transfers are made in it, under cuts, kills and restarts: it stays sound, and has every transfer that was committed.</summary>
public sealed class SqliteRoundsTests(ITestOutputHelper output)
{
    private const int Length = 16 << 20;

    [RequiresFact("fuse", "root", "setsid", "bash", "sqlite3", "awk", "stdbuf", Timeout = 7_200_000)]
    public async Task EveryCommittedTransfer_IsThere()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        int seed = MoveRounds.Seed;
        var load = new SqliteLoad(Directory.CreateDirectory(directory["load"]).FullName, Length);
        await using var rounds = new MoveRounds(directory, load, Length, seed, output);
        await rounds.RunAsync(MoveRounds.Rounds(2));
    }
}
