using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>A move whose source is killed after the hand-over, with a store behind the region.</summary>
public sealed class LostHostTests
{
    private const int Length = 64 << 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    [RequiresFact("fuse", "root", "dd")]
    public async Task WhatOnlyTheLostHostHad_ComesFromTheStoreBehind_WhichHasWhatIsFlushed()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = new byte[Length];
        new Random(7).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["here"], bytes);
        await using var store = Start(directory, "store", "serve", $"file:{directory["behind"]}?size={Length}", "--listen", "farspan+unix:///?socket=" + directory["s.sock"]);
        await Eventually.HoldsAsync(() => File.Exists(directory["s.sock"]));
        string behind = "farspan+unix:///?socket=" + directory["s.sock"];
        await using var seed = Start(
            directory, "one", "seed", $"file:{directory["here"]}", directory["source"], "--listen", "farspan+unix:///?socket=" + directory["m.sock"], "--json", "--behind", behind);
        await seed.WaitUntilAsync(peer => peer.Output.Contains("\"ready\"", StringComparison.Ordinal), s_patience);
        await WriteAsync(directory["source"], 5, bytes);

        await using var leech = Start(
            directory, "two", "leech", "farspan+unix:///?socket=" + directory["m.sock"], directory["destination"], "--local", $"file:{directory["there"]}",
            "--finalize", "0s", "--json", "--behind", behind);
        await leech.WaitUntilAsync(peer => peer.Output.Contains("\"received\"", StringComparison.Ordinal), s_patience);
        await seed.SignalAsync("KILL");
        await using (var told = await PeerProcess.RunAsync(
            RepositoryRoot.Combine("farspan"), ["finalize", directory["destination"], "--seeder-lost"], s_patience, directory.Path, environment: Environment(directory, "two")))
        {
            Assert.True(told.ExitCode == 0, told.Report);
        }

        await WriteAsync(directory["destination"], 30, bytes);
        await leech.WaitUntilAsync(peer => peer.Output.Contains("\"completed\"", StringComparison.Ordinal), s_patience);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["destination"]));
        await leech.SignalAsync("INT");
        await leech.WaitForExitAsync(s_patience);
        Assert.True(leech.ExitCode == 0, leech.Report);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["there"]));
        await store.SignalAsync("INT");
        await store.WaitForExitAsync(s_patience);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["behind"]));
    }

    // A megabyte of zeroes, which is flushed.
    private static async Task WriteAsync(string file, int megabyte, byte[] bytes)
    {
        bytes.AsSpan(megabyte << 20, 1 << 20).Clear();
        await using var dd = await PeerProcess.RunAsync("dd", ["if=/dev/zero", $"of={file}", "bs=1M", "count=1", $"seek={megabyte}", "conv=notrunc,fsync"]);
        Assert.True(dd.ExitCode == 0, dd.Report);
    }

    private static PeerProcess Start(TemporaryDirectory directory, string host, params string[] arguments)
        => PeerProcess.Start(RepositoryRoot.Combine("farspan"), arguments, directory.Path, Environment(directory, host));

    private static Dictionary<string, string> Environment(TemporaryDirectory directory, string host) => new(StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = directory[host] };
}
