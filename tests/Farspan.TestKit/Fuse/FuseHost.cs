using System.Globalization;
using Farspan.TestKit.Peers;

namespace Farspan.TestKit.Fuse;

/// <summary>
/// The program Farspan.FuseHost: it serves a file from memory in a process of its own, so that the test may use the file. When it is disposed,
/// or after two minutes, its mount is aborted, whatever has become of it.
/// </summary>
public sealed class FuseHost : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    private readonly PeerProcess _process;
    private readonly string _target;
    private readonly Timer _watchdog;
    private int _answers;

    private FuseHost(PeerProcess process, string target)
    {
        _process = process;
        _target = target;
        _watchdog = new Timer(_ => FuseConnection.AbortAsync(target).GetAwaiter().GetResult(), state: null, TimeSpan.FromMinutes(2), Timeout.InfiniteTimeSpan);
    }

    /// <summary>The mounted file.</summary>
    public string Path { get; private set; } = "";

    public PeerProcess Process => _process;

    public static string Program => TestProgram.Path("Farspan.FuseHost");

    /// <summary>Starts the host and waits until the file is there.</summary>
    /// <param name="target">Where it is mounted.</param>
    /// <param name="knobs">Such as <c>size=1048576</c>; see the program.</param>
    public static async Task<FuseHost> StartAsync(string target, params string[] knobs)
    {
        var host = new FuseHost(PeerProcess.Start(Program, [target, .. knobs]), target);
        try
        {
            string answer = await host.NextAnswerAsync();
            if (!answer.StartsWith("ready ", StringComparison.Ordinal))
                throw new InvalidOperationException(answer);
            host.Path = answer[6..answer.LastIndexOf(' ')];
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Gives a command and returns the answer.</summary>
    public async Task<string> AskAsync(string command)
    {
        await _process.SayAsync(command);
        return await NextAnswerAsync();
    }

    /// <summary>Gives a command that must be answered with <paramref name="expected"/>.</summary>
    public async Task TellAsync(string command, string expected = "ok")
    {
        string answer = await AskAsync(command);
        if (answer != expected)
            throw new InvalidOperationException($"'{command}' was answered with '{answer}'.\n{_process.Report}");
    }

    /// <summary>The bytes that the backend holds now.</summary>
    public async Task<byte[]> PeekAsync(long offset, int length) => Convert.FromHexString(await AskAsync($"peek {offset} {length}"));

    /// <summary>One of the numbers that <c>counts</c> or <c>process</c> answers with.</summary>
    public async Task<long> CountAsync(string name)
    {
        string answer = $"{await AskAsync("counts")} {await AskAsync("process")}";
        string pair = answer.Split(' ').Single(p => p.StartsWith(name + "=", StringComparison.Ordinal));
        return long.Parse(pair[(name.Length + 1)..], CultureInfo.InvariantCulture);
    }

    /// <summary>Lets the host unmount and end by itself; its exit code must be 0.</summary>
    public async Task EndAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync(s_patience);
        if (_process.ExitCode != 0)
            throw new InvalidOperationException(_process.Report);
    }

    public async ValueTask DisposeAsync()
    {
        await _watchdog.DisposeAsync();
        if (!_process.HasExited)
            await _process.SignalAsync("KILL");
        await FuseConnection.AbortAsync(_target);
        await _process.DisposeAsync();
    }

    private async Task<string> NextAnswerAsync()
    {
        int wanted = _answers + 1;
        await _process.WaitUntilAsync(p => Answers(p).Length >= wanted, s_patience);
        return Answers(_process)[_answers++];
    }

    private static string[] Answers(PeerProcess process) => process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
