using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>A process that uses memory of an agent by spans, as it is told.</summary>
internal sealed class AgentClient : IAsyncDisposable
{
    private int _answers = 1;

    private AgentClient(PeerProcess process) => Process = process;

    public PeerProcess Process { get; }

    public static async Task<AgentClient> StartAsync(string socket)
    {
        var client = new AgentClient(PeerProcess.Start(FuseHost.Program, ["--obey-agent", socket]));
        await client.Process.WaitUntilAsync(process => process.Output.StartsWith("mapped ", StringComparison.Ordinal));
        return client;
    }

    /// <summary>Has it do something, and returns its answer.</summary>
    public async Task<string> AskAsync(string line)
    {
        int wanted = ++_answers;
        await Process.SayAsync(line);
        await Process.WaitUntilAsync(process => Lines(process).Length >= wanted);
        return Lines(Process)[wanted - 1];
    }

    /// <summary>Has it do something that ends it, by a signal.</summary>
    public async Task<int> DieOfAsync(string line)
    {
        await Process.SayAsync(line);
        await Process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        return Lines(Process).Length == _answers ? Process.ExitCode : throw new InvalidOperationException($"It answered.\n{Process.Report}");
    }

    public ValueTask DisposeAsync() => Process.DisposeAsync();

    private static string[] Lines(PeerProcess process) => process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
