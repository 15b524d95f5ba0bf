using System.Globalization;
using Farspan.EndToEnd.Tests.NbdServer;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>
/// SQLite on ext4 on a loop device on a mounted file on an NBD server that remembers every write and flush. Whatever a crash of the server's
/// machine at any moment leaves of the writes that were not flushed, the file system is repaired by its journal and the database by its own, and
/// every transaction is there that SQLite had called committed.
/// </summary>
public sealed class CrashReplayTests
{
    private const int Size = 24 << 20;
    private const int Transactions = 25;

    [RequiresFact("root", "fuse", "loop", "losetup", "mkfs.ext4", "e2fsck", "debugfs", "sqlite3")]
    public async Task CrashAtAnyMoment_KeepsEveryCommittedTransaction()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        var journal = new JournalingBackend(Size);
        await using var server = RunningServer.Start(journal);
        await farspan.OkAsync("mount", server.Uri, "disk", "--direct");
        var committed = new int[Transactions + 1];
        try
        {
            await RunTransactionsAsync(directory, journal, committed);
        }
        catch
        {
            await FuseConnection.AbortAsync(directory["disk"]);
            throw;
        }

        await farspan.OkAsync("umount", "disk");
        Assert.Empty(farspan.Leftovers());

        var chance = new Random(1);
        for (int i = 0; i < 16; i++)
        {
            int flush = chance.Next(committed[0], journal.FlushCount);
            int transactions = committed.Count(flushes => flushes <= flush + 1) - 1;
            await CheckAsync(journal.AfterCrash(flush, chance), transactions, $"after flush {flush} of {journal.FlushCount}");
        }
    }

    /// <summary>Fills <paramref name="committed"/> with the number of flushes that had come when each transaction was committed; the first is an empty table's.</summary>
    private static async Task RunTransactionsAsync(TemporaryDirectory directory, JournalingBackend journal, int[] committed)
    {
        string device = (await PeerProcess.RunOkAsync("losetup", ["--find", "--show", "--direct-io=on", directory["disk"]])).Trim();
        Directory.CreateDirectory(directory["fs"]);
        try
        {
            await PeerProcess.RunOkAsync("mkfs.ext4", ["-q", "-b", "1024", device]);
            await PeerProcess.RunOkAsync("mount", [device, directory["fs"]]);
            for (int i = 0; i <= Transactions; i++)
            {
                // Extra: only then is a commit, which is the removal of a journal, durable when it returns.
                string sql = "pragma synchronous = extra;" + (i == 0
                    ? "create table t(id integer primary key, v blob);"
                    : string.Create(CultureInfo.InvariantCulture, $"begin; insert into t values({i}, randomblob(6000)); update t set v = randomblob(3000) where id < {i} and id % 3 = {i % 3}; commit;"));
                await PeerProcess.RunOkAsync("sqlite3", [directory["fs/db"]], input: sql);
                committed[i] = journal.FlushCount;
            }
        }
        finally
        {
            await using (await PeerProcess.RunAsync("umount", [directory["fs"]]))
            await using (await PeerProcess.RunAsync("losetup", ["-d", device]))
            {
            }
        }
    }

    private static async Task CheckAsync(byte[] image, int transactions, string when)
    {
        using var left = new TemporaryDirectory();
        await File.WriteAllBytesAsync(left["image"], image);
        await using (var check = await PeerProcess.RunAsync("e2fsck", ["-f", "-y", left["image"]]))
            Assert.True(check.ExitCode is 0 or 1, $"{when}\n{check.Report}");
        await PeerProcess.RunOkAsync("debugfs", ["-R", $"dump /db {left["db"]}", left["image"]]);
        await PeerProcess.RunOkAsync("debugfs", ["-R", $"dump /db-journal {left["db-journal"]}", left["image"]]);
        string said = await PeerProcess.RunOkAsync("sqlite3", [left["db"]], input: "pragma integrity_check; select count(*) from t;\n");
        string[] lines = said.Split('\n');
        Assert.True(lines[0] == "ok", $"{when}\n{said}");
        int found = int.Parse(lines[1], CultureInfo.InvariantCulture);
        Assert.True(found >= transactions && found <= transactions + 1, $"{when}: {found} transactions where {transactions} were committed");
    }
}
