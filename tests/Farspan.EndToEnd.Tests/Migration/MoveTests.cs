using System.Globalization;
using System.Text;
using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A region that moves from one process of the program to another while somebody writes numbered records into it.</summary>
public sealed class MoveTests
{
    private const int RecordLength = 16;
    private const int Length = 3_000_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    [RequiresTheory("fuse", "root", "setsid", "dd", "pgrep")]
    [InlineData("2s")]
    [InlineData("0s")]
    [InlineData("manual")]
    public async Task Program_GoesOnAtTheOtherHost_WithEveryRecord(string finalize)
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = new byte[Length];
        new Random(7).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["here"], bytes);
        await File.WriteAllTextAsync(directory["writer"], Writer);
        await using var writer = PeerProcess.Start("setsid", ["sh", directory["writer"], directory["source"], directory["acknowledged"]]);
        await using var seed = PeerProcess.Start(
            RepositoryRoot.Combine("farspan"),
            ["seed", $"file:{directory["here"]}", directory["source"], "--listen", "farspan://127.0.0.1:0", "--json", "--chunk", "4KiB", "--program-group", $"{writer.Id}"],
            directory.Path, Environment(directory, "one"));
        await seed.WaitUntilAsync(peer => peer.Output.Contains("farspan://", StringComparison.Ordinal), s_patience);
        await Eventually.HoldsAsync(() => Acknowledged(directory) > 5);

        await using var leech = PeerProcess.Start(
            RepositoryRoot.Combine("farspan"),
            ["leech", UriOf(seed), directory["destination"], "--local", $"file:{directory["there"]}", "--finalize", finalize, "--json",
                "--on-resume", $"setsid sh {directory["writer"]} $FARSPAN_TARGET {directory["acknowledged"]} > /dev/null 2>&1 & echo $! > {directory["second"]}"],
            directory.Path, Environment(directory, "two"));
        await leech.WaitUntilAsync(peer => peer.Output.Contains("\"ready\"", StringComparison.Ordinal), s_patience);
        if (finalize == "manual")
        {
            await Eventually.HoldsAsync(() => Last(leech, "progress") is { } progress && progress.GetProperty("missing").GetInt64() == 0);
            await (await PeerProcess.RunAsync(RepositoryRoot.Combine("farspan"), ["finalize", directory["destination"]], s_patience, directory.Path, environment: Environment(directory, "two"))).DisposeAsync();
        }

        await leech.WaitUntilAsync(peer => peer.Output.Contains("\"received\"", StringComparison.Ordinal), s_patience);
        long before = Acknowledged(directory);
        await Eventually.HoldsAsync(() => Acknowledged(directory) > before + 5);
        await leech.WaitUntilAsync(peer => peer.Output.Contains("\"completed\"", StringComparison.Ordinal), s_patience);
        await seed.WaitForExitAsync(s_patience);
        Assert.True(seed.ExitCode == 0, seed.Report);
        await KillAsync(int.Parse((await File.ReadAllTextAsync(directory["second"])).Trim(), CultureInfo.InvariantCulture));
        await KillAsync(writer.Id);
        long count = Acknowledged(directory);
        await leech.SignalAsync("INT");
        await leech.WaitForExitAsync(s_patience);
        Assert.True(leech.ExitCode == 0, leech.Report);

        // One record more may have been written when the writer was killed.
        byte[] found = await File.ReadAllBytesAsync(directory["there"]);
        for (long i = 0; i < count; i++)
            Record(i).CopyTo(bytes, i * RecordLength);
        if (found.AsSpan((int)count * RecordLength, RecordLength).SequenceEqual(Record(count)))
            Record(count).CopyTo(bytes, count * RecordLength);
        Assert.True(bytes.AsSpan().SequenceEqual(found), $"differs first at {bytes.AsSpan().CommonPrefixLength(found)}; {count} records\n{seed.Report}\n{leech.Report}");
    }

    // Each record is durable, and then noted: the number of the next one is the length of the notes.
    private const string Writer = """
        until [ -f "$1" ]; do sleep 0.01; done
        while :; do
          i=$(wc -l < "$2" 2> /dev/null || echo 0)
          printf '%016d' $i | dd of="$1" bs=16 seek=$i conv=notrunc,fsync 2> /dev/null && echo $i >> "$2"
        done
        """;

    // Until none of the group is left: what one of them is just doing is done then.
    private static async Task KillAsync(int group)
    {
        await (await PeerProcess.RunAsync("kill", ["-KILL", "--", $"-{group}"])).DisposeAsync();
        await Eventually.HoldsAsync(async () =>
        {
            await using var looked = await PeerProcess.RunAsync("pgrep", ["-g", $"{group}", "-r", "R,S,D,T"]);
            return looked.ExitCode == 1;
        });
    }

    private static byte[] Record(long number) => Encoding.ASCII.GetBytes(number.ToString("D16", CultureInfo.InvariantCulture));

    private static long Acknowledged(TemporaryDirectory directory)
        => File.Exists(directory["acknowledged"]) ? File.ReadAllLines(directory["acknowledged"]).Length : 0;

    private static Dictionary<string, string> Environment(TemporaryDirectory directory, string host) => new(StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = directory[host] };

    private static string UriOf(PeerProcess seed)
    {
        string start = seed.Output[seed.Output.IndexOf("farspan://", StringComparison.Ordinal)..];
        return start[..start.IndexOfAny(['\n', '"'])];
    }

    private static JsonElement? Last(PeerProcess process, string what)
        => process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)
            .LastOrDefault(line => line.GetProperty("event").GetString() == what) is { ValueKind: JsonValueKind.Object } found ? found : null;
}
