using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Conformance;

/// <summary>
/// The same questions to our server and to four others. The answers are in <c>answers.md</c>, where each one in which ours differs from
/// another's is explained, so that a change of any of them is seen and judged.
/// </summary>
public sealed class ServerAnswersTests
{
    private const string Ours = "farspan";
    private const int Size = 65 << 20;

    private static readonly string s_folder = RepositoryRoot.Combine("tests", "Farspan.EndToEnd.Tests", "Conformance");

    [RequiresFact("nbdsh", "nbdkit", "qemu-nbd", "nbd-server", "qemu-storage-daemon")]
    public async Task Answers_OfFiveServers_AreTheOnesOnFile_AndEachDifferenceIsExplained()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var ours = await farspan.ServeAsync("memory:65MiB", "--listen", "nbd+unix:///?socket=s");
        await using var nbdkit = await NbdPeer.StartAsync("memory", $"{Size}");
        await using var qemu = await NbdPeer.StartQemuAsync(Size, "--shared=100");
        await using var storage = await NbdPeer.StartStorageDaemonAsync(Size);
        await using var old = await NbdServerPeer.StartAsync(Size);

        var table = new AnswerTable([Ours, "nbdkit", "qemu-nbd", "nbd-server", "qemu-storage-daemon"]);
        await Task.WhenAll(
            AskAsync(table, Ours, $"nbd+unix:///?socket={directory["s"]}", "", $"unix:{directory["s"]}"),
            AskAsync(table, "nbdkit", $"nbd+unix:///?socket={nbdkit.Socket}", "", $"unix:{nbdkit.Socket}"),
            AskAsync(table, "qemu-nbd", $"nbd+unix:///?socket={qemu.Socket}", "", $"unix:{qemu.Socket}"),
            AskAsync(table, "nbd-server", $"nbd://127.0.0.1:{old.Port}/disk", "disk", $"127.0.0.1:{old.Port}"),
            AskAsync(table, "qemu-storage-daemon", $"nbd+unix:///?socket={storage.Socket}", "", $"unix:{storage.Socket}"));

        string file = Path.Combine(s_folder, "answers.md");
        string onFile = File.Exists(file) ? await File.ReadAllTextAsync(file) : "";
        table.TakeReviews(AnswerTable.Parse(onFile));
        string head = onFile[..Math.Max(0, onFile.IndexOf("| question", StringComparison.Ordinal))];
        string now = head + table.ToMarkdown();
        if (Environment.GetEnvironmentVariable("FARSPAN_UPDATE_SNAPSHOTS") == "1")
        {
            await File.WriteAllTextAsync(file, now);
            onFile = now;
        }

        string changed = string.Join('\n', now.Split('\n').Except(onFile.Split('\n')));
        Assert.True(changed.Length == 0, $"These answers are not the ones in {file}, which says what to do:\n{changed}");
        Assert.Equal(onFile, now);
        string[] unexplained = [.. table.Unexplained(Ours)];
        Assert.True(unexplained.Length == 0, $"Say in {file} why ours differs:\n{string.Join('\n', unexplained)}");
    }

    private static async Task AskAsync(AnswerTable table, string server, string uri, string export, string address)
    {
        // The system's Python has libnbd's module, whatever other one stands first in the path.
        string said = await PeerProcess.RunOkAsync("/usr/bin/python3", [Path.Combine(s_folder, "probes.py"), uri, export, address], TimeSpan.FromSeconds(100));
        string[][] lines = [.. said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split('\t'))];
        Assert.True(lines.Length > 60, said);
        lock (table)
        {
            foreach (string[] line in lines)
                table.Add(server, line[0], line[1]);
        }
    }
}
