using System.IO.MemoryMappedFiles;
using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.Migration;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Migration;

/// <summary>The program <c>farspan seed</c>, with a leecher that is a part of the test.</summary>
public sealed class SeedTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [RequiresFact("fuse", "root")]
    public async Task Region_IsHandedOver_AndReleased()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["disk"], 1_000_000);
        await using var seed = await StartAsync(directory, "--json", "--on-suspend", $"echo $FARSPAN_EVENT $FARSPAN_TARGET >> {directory["hooks"]}");
        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["target"]));
        Assert.Contains("\"role\":\"owner\"", await Program(directory).OkAsync("region", directory["disk"], "--json"), StringComparison.Ordinal);
        Assert.Contains("seed", await Program(directory).OkAsync("status", directory["target"]), StringComparison.Ordinal);

        await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
        await leecher.TrackAsync();
        await leecher.CopyAllAsync();
        bytes[70_000] ^= 1;
        await WriteAsync(directory["target"], 70_000, bytes[70_000]);
        await leecher.FinalizeAsync();
        Assert.Equal([$"suspend {directory["target"]}"], await File.ReadAllLinesAsync(directory["hooks"]));
        await Eventually.HoldsAsync(() => seed.Output.Contains("\"handed-over\"", StringComparison.Ordinal));
        await Assert.ThrowsAsync<IOException>(() => File.ReadAllBytesAsync(directory["target"]));
        Assert.Contains("role    handed-over", await Program(directory).OkAsync("region", directory["disk"]), StringComparison.Ordinal);
        await leecher.CopyChangedAsync();
        Assert.Equal(bytes, leecher.Bytes);
        await leecher.CloseAsync();
        await seed.WaitForExitAsync(s_patience);
        Assert.True(seed.ExitCode == 0, seed.Report);
        Assert.Equal(["ready", "leecher", "handed-over", "released"], Events(seed));
        Assert.False(File.Exists(directory["target"]));
        Assert.Contains("released", await Program(directory).OkAsync("region", $"file:{directory["disk"]}"), StringComparison.Ordinal);
        Assert.Contains("has moved to another host", await Program(directory).FailsAsync(1, "seed", $"file:{directory["disk"]}", directory["target"]), StringComparison.Ordinal);
    }

    [RequiresFact("fuse", "root")]
    public async Task WhatAProgramWritesIntoAMapping_IsToldInRounds_AndNotLeftForTheHandOver()
    {
        const int Chunk = 64 << 10;
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["disk"], 20 * Chunk);
        await using var seed = await StartAsync(directory);
        using var mapped = MemoryMappedFile.CreateFromFile(directory["target"], FileMode.Open);
        using var view = mapped.CreateViewAccessor();
        await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
        Set(0);
        await leecher.TrackAsync();
        await leecher.CopyAllAsync();
        Set(3 * Chunk);
        Set((5 * Chunk) + 9000);
        Assert.Equal([new ChangedRun(3, 1), new ChangedRun(5, 1)], await leecher.RoundAsync());
        Set(7 * Chunk);
        Assert.Equal([new ChangedRun(7, 1)], await leecher.RoundAsync());
        await leecher.CopyAllAsync();
        Assert.Equal(bytes, leecher.Bytes);
        Set(11 * Chunk);
        await leecher.FinalizeAsync();
        Assert.Equal([new ChangedRun(11, 1)], await leecher.LastListAsync());
        await leecher.CopyChangedAsync();
        Assert.Equal(bytes, leecher.Bytes);
        await leecher.GiveUpAsync();

        void Set(int at) => view.Write(at, bytes[at] ^= 0x55);
    }

    [RequiresFact("fuse", "root")]
    public async Task CtrlC_EndsBeforeTheHandOver_AndIsRefusedOnceAfterIt_UntilTheSameCommandGoesOn()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["disk"], 300_000);
        await using (var idle = await StartAsync(directory))
        {
            await WriteAsync(directory["target"], 5, bytes[5] = 99);
            await idle.SignalAsync("INT");
            await idle.WaitForExitAsync(s_patience);
            Assert.True(idle.ExitCode == 0, idle.Report);
            Assert.Contains("everything is flushed", idle.Output, StringComparison.Ordinal);
        }

        Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["disk"]));
        Guid token;
        await using (var seed = await StartAsync(directory))
        {
            await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
            await leecher.TrackAsync();
            await leecher.FinalizeAsync();
            token = leecher.Token;
            await Eventually.HoldsAsync(() => seed.Output.Contains("handed over", StringComparison.Ordinal));
            await seed.SignalAsync("INT");
            await Eventually.HoldsAsync(() => seed.Output.Contains("still needs about 292.97 KiB", StringComparison.Ordinal));
            Assert.False(seed.HasExited);
            await Task.Delay(TimeSpan.FromSeconds(1.2));
            await seed.SignalAsync("INT");
            await seed.WaitForExitAsync(s_patience);
            Assert.True(seed.ExitCode == 1, seed.Report);
        }

        await using (var again = await StartAsync(directory))
        {
            Assert.False(File.Exists(directory["target"]));
            await using var leecher = await TestLeecher.ConnectAsync(UriOf(again), token);
            await leecher.TakeUpAsync();
            await leecher.CopyAllAsync();
            Assert.Equal(bytes, leecher.Bytes);
            await leecher.CloseAsync();
            await again.WaitForExitAsync(s_patience);
            Assert.True(again.ExitCode == 0, again.Report);
        }
    }

    [RequiresFact("fuse", "root", "setsid")]
    public async Task SuspensionThatFails_LetsTheProgramGoOn()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        await WriteRandomAsync(directory["disk"], 100_000);
        await using var seed = await StartAsync(
            directory, "--on-suspend", "echo the database is busy; exit 1", "--on-resume", $"echo $FARSPAN_EVENT >> {directory["hooks"]}");
        await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
        await leecher.TrackAsync();
        Assert.False(await leecher.TryFinalizeAsync());
        await seed.WaitUntilAsync(peer => peer.Output.Contains("the database is busy", StringComparison.Ordinal), s_patience);
        Assert.Equal(["resume"], await File.ReadAllLinesAsync(directory["hooks"]));
        await WriteAsync(directory["target"], 0, 1);
        await leecher.GiveUpAsync();
        await seed.WaitUntilAsync(peer => peer.Output.Contains("the leecher gave up", StringComparison.Ordinal), s_patience);
    }

    [RequiresFact("fuse", "root", "setsid", "sleep")]
    public async Task ProgramThatStaysStopped_WithTheFileOpen_DoesNotKeepWhatHasMoved()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        await WriteRandomAsync(directory["disk"], 100_000);
        await using var program = PeerProcess.Start("setsid", ["sh", "-c", $"until [ -f {directory["target"]} ]; do sleep 0.01; done; exec 3<> {directory["target"]}; echo open; sleep 600"]);
        await using var seed = await StartAsync(directory, "--program-group", $"{program.Id}");
        await program.WaitUntilAsync(peer => peer.Output.Contains("open", StringComparison.Ordinal));
        await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
        await leecher.TrackAsync();
        await leecher.FinalizeAsync();
        await leecher.CloseAsync();
        await seed.WaitForExitAsync(s_patience / 2);
        Assert.True(seed.ExitCode == 0, seed.Report);
        Assert.False(program.HasExited);
    }

    [RequiresFact("fuse", "root")]
    public async Task LeecherThatGivesUpAfterTheHandOver_GivesTheRegionBack_AndByForceItIsTaken()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        byte[] bytes = await WriteRandomAsync(directory["disk"], 100_000);
        await using (var seed = await StartAsync(directory))
        {
            await using var leecher = await TestLeecher.ConnectAsync(UriOf(seed));
            await leecher.TrackAsync();
            await leecher.FinalizeAsync();
            await leecher.GiveUpAsync();
            await Eventually.HoldsAsync(() => seed.Output.Contains("taken back", StringComparison.Ordinal));
            Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["target"]));
            await leecher.TrackAsync(Guid.NewGuid());
            await leecher.FinalizeAsync();
            await seed.SignalAsync("KILL");
        }

        await using (var forced = await StartAsync(directory, "--take-back", "--on-resume", $"cat $FARSPAN_TARGET > {directory["seen"]}"))
        {
            Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["target"]));
            Assert.Equal(bytes, await File.ReadAllBytesAsync(directory["seen"]));
            Assert.Contains("owner", await Program(directory).OkAsync("region", directory["disk"]), StringComparison.Ordinal);
            await Program(directory).OkAsync("umount", directory["target"]);
            await forced.WaitForExitAsync(s_patience);
            Assert.True(forced.ExitCode == 0, forced.Report);
        }

        Assert.Contains("nothing to take back", await Program(directory).FailsAsync(1, "seed", $"file:{directory["disk"]}", directory["target"], "--take-back"), StringComparison.Ordinal);
    }

    [RequiresFact("fuse", "root")]
    public async Task WrongUse_IsOneClearError()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        await WriteRandomAsync(directory["disk"], 100_000);
        string disk = $"file:{directory["disk"]}";
        Assert.Contains("--state DIR", await Program(directory).FailsAsync(2, "seed", "nbd://127.0.0.1:1/x", directory["target"]), StringComparison.Ordinal);
        Assert.Contains("farspan://", await Program(directory).FailsAsync(2, "seed", disk, directory["target"], "--listen", "nbd://127.0.0.1:0"), StringComparison.Ordinal);
        Assert.Contains("--insecure", await Program(directory).FailsAsync(2, "seed", disk, directory["target"], "--listen", "farspan://0.0.0.0:0"), StringComparison.Ordinal);
        Assert.Contains("no process", await Program(directory).FailsAsync(1, "seed", disk, directory["target"], "--program", "2147483647"), StringComparison.Ordinal);
        Assert.Contains("--chunk", await Program(directory).FailsAsync(2, "seed", disk, directory["target"], "--chunk", "5000"), StringComparison.Ordinal);
        Assert.Contains("no region", await Program(directory).FailsAsync(1, "region", directory["nothing"]), StringComparison.Ordinal);
        await using var seed = await StartAsync(directory);
        Assert.Contains("is held by process", await Program(directory).FailsAsync(1, "seed", disk, directory["other"]), StringComparison.Ordinal);
        Assert.Contains("is mounted already", await Program(directory).FailsAsync(1, "seed", "memory:1MiB", directory["target"], "--listen", "farspan://127.0.0.1:0"), StringComparison.Ordinal);
    }

    [RequiresFact("fuse", "root", "dd")]
    public async Task AStoreThatGivesLeases_HasOneOwner_WhoComesBackAtOnce()
    {
        using var directory = new TemporaryDirectory();
        await using var mounts = new MountsUnder(directory.Path);
        await WriteRandomAsync(directory["disk"], 300_000);
        string uri = "farspan+unix:///?socket=" + directory["store.sock"];
        await using var store = Program(directory).Start("serve", $"file:{directory["disk"]}", "--listen", uri);
        await store.WaitForSocketAsync(directory["store.sock"], s_patience);
        string[] seed = ["seed", uri, directory["target"], "--state", directory["state"], "--listen", "farspan://127.0.0.1:0"];
        await using (var first = Program(directory).Start(seed))
        {
            await first.WaitUntilAsync(peer => peer.Output.Contains("farspan://", StringComparison.Ordinal), s_patience);
            string refusal = await Program(directory).FailsAsync(1, "seed", uri, directory["other"], "--state", directory["others"], "--listen", "farspan://127.0.0.1:0");
            Assert.Contains("Another writer holds the lease", refusal, StringComparison.Ordinal);
            Assert.False(File.Exists(directory["other"]));
            await first.SignalAsync("KILL");
            await first.WaitForExitAsync(s_patience);
        }

        await using var again = Program(directory).Start(seed);
        await again.WaitUntilAsync(peer => peer.Output.Contains("farspan://", StringComparison.Ordinal), s_patience);
        await WriteAsync(directory["target"], 5, 77);
        await again.SignalAsync("INT");
        await again.WaitForExitAsync(s_patience);
        Assert.True(again.ExitCode == 0, again.Report);
        await store.SignalAsync("INT");
        await store.WaitForExitAsync(s_patience);
        Assert.Equal(77, (await File.ReadAllBytesAsync(directory["disk"]))[5]);
    }

    private static FarspanProcess Program(TemporaryDirectory directory) => new(directory);

    private static async Task<PeerProcess> StartAsync(TemporaryDirectory directory, params string[] more)
    {
        var seed = Program(directory).Start(["seed", $"file:{directory["disk"]}", directory["target"], "--listen", "farspan://127.0.0.1:0", .. more]);
        await seed.WaitUntilAsync(peer => peer.Output.Contains("farspan://", StringComparison.Ordinal), s_patience);
        return seed;
    }

    private static string UriOf(PeerProcess seed)
    {
        string start = seed.Output[seed.Output.IndexOf("farspan://", StringComparison.Ordinal)..];
        return start[..start.IndexOfAny(['\n', '"'])];
    }

    private static IEnumerable<string> Events(PeerProcess seed)
        => seed.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("event").GetString()!);

    private static async Task<byte[]> WriteRandomAsync(string path, int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        await File.WriteAllBytesAsync(path, bytes);
        return bytes;
    }

    private static async Task WriteAsync(string path, long offset, byte value)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        file.Position = offset;
        await file.WriteAsync(new[] { value });
    }
}
