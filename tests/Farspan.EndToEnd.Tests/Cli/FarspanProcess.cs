using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

/// <summary>The program as users run it, with a runtime directory of its own.</summary>
internal sealed class FarspanProcess(TemporaryDirectory directory, IReadOnlyDictionary<string, string>? environment = null)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Dictionary<string, string> _environment = new(environment ?? new Dictionary<string, string>(), StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = directory["run"] };

    /// <summary>Runs a command line to its end.</summary>
    public Task<PeerProcess> RunAsync(params string[] arguments)
        => PeerProcess.RunAsync(RepositoryRoot.Combine("farspan"), arguments, Patience, directory.Path, environment: _environment);

    /// <summary>Runs a command line that must succeed, and returns its output.</summary>
    public async Task<string> OkAsync(params string[] arguments)
    {
        await using var run = await RunAsync(arguments);
        Assert.True(run.ExitCode == 0, run.Report);
        return run.Output;
    }

    /// <summary>Runs a command line that must fail with one line on standard error, and returns the line.</summary>
    public async Task<string> FailsAsync(int exitCode, params string[] arguments)
    {
        await using var run = await RunAsync(arguments);
        Assert.True(run.ExitCode == exitCode, run.Report);
        Assert.True(run.Error.TrimEnd('\n').Split('\n').Length == 1, run.Report);
        return run.Error.TrimEnd('\n');
    }

    /// <summary>Starts <c>farspan serve</c> and waits until it is ready.</summary>
    public async Task<PeerProcess> ServeAsync(params string[] arguments)
    {
        var server = Start(["serve", .. arguments]);
        await server.WaitUntilAsync(peer => peer.Output.Contains("serving ", StringComparison.Ordinal), Patience);
        return server;
    }

    /// <summary>Starts a command line and leaves it running.</summary>
    public PeerProcess Start(params string[] arguments)
        => PeerProcess.Start(RepositoryRoot.Combine("farspan"), arguments, directory.Path, _environment);

    /// <summary>The processes whose command line names something in the test's directory.</summary>
    public IReadOnlyList<string> Leftovers()
    {
        var found = new List<string>();
        foreach (string process in Directory.GetDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            try
            {
                string commandLine = File.ReadAllText(Path.Combine(process, "cmdline")).Replace('\0', ' ');
                if (commandLine.Contains(directory.Path, StringComparison.Ordinal) && Path.GetFileName(process) != Environment.ProcessId.ToString())
                    found.Add(commandLine);
            }
            catch (IOException)
            {
                // It ended meanwhile.
            }
        }

        found.AddRange(File.ReadLines("/proc/self/mountinfo").Where(line => line.Contains(directory.Path, StringComparison.Ordinal)));
        return found;
    }
}
