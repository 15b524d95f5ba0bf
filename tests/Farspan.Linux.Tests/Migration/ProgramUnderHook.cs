using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.Linux.Tests.Migration;

/// <summary>A shell in a group of its own that counts by the length of a file, with a child that counts by another one. No other program is run for it.</summary>
internal sealed class ProgramUnderHook : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly PeerProcess _process;

    private ProgramUnderHook()
    {
        const string count = "while :; do echo >> $0; done";
        string child = $"sh -c '{count}' {_directory["child"]}";
        _process = PeerProcess.Start("setsid", ["sh", "-c", $"{child} & echo $! > $0.pid; {count}", _directory["parent"]]);
    }

    /// <summary>The parent, which leads the group.</summary>
    public int Id => _process.Id;

    public static async Task<ProgramUnderHook> StartAsync()
    {
        var program = new ProgramUnderHook();
        await Eventually.HoldsAsync(() => program.Count("parent") > 0 && program.Count("child") > 0);
        return program;
    }

    /// <summary>How far one of the two has counted.</summary>
    public long Count(string who) => new FileInfo(_directory[who]) is { Exists: true } file ? file.Length : 0;

    /// <summary>Waits until one has counted on.</summary>
    public Task RunsAsync(string who)
    {
        long before = Count(who);
        return Eventually.HoldsAsync(() => Count(who) > before, $"{who} counts on from {before}");
    }

    /// <summary>Whether one stands still while the other, which runs, counts a hundred times.</summary>
    public async Task<bool> StandsAsync(string who, string other)
    {
        long before = Count(who);
        long start = Count(other);
        await Eventually.HoldsAsync(() => Count(other) > start + 100);
        return Count(who) == before;
    }

    public async ValueTask DisposeAsync()
    {
        await (await PeerProcess.RunAsync("kill", ["-KILL", "--", $"-{Id}"])).DisposeAsync();
        await _process.DisposeAsync();
        _directory.Dispose();
    }
}
