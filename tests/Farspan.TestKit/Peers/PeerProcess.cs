using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Farspan.TestKit.Peers;

/// <summary>
/// A real program that a test runs. Its output is kept and stands in every failure; it is ended, by pid and with its children, when disposed.
/// </summary>
public sealed class PeerProcess : IAsyncDisposable
{
    /// <summary>How long a step of a test may take where it says nothing else: long enough for a machine that does much at once, and less than a test may.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly string _commandLine;
    private bool _isDisposed;

    private PeerProcess(string program, IEnumerable<string> arguments, string? workingDirectory, IReadOnlyDictionary<string, string>? environment)
    {
        var info = new ProcessStartInfo(program)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? "",
        };
        foreach (string argument in arguments)
            info.ArgumentList.Add(argument);
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
            info.Environment[key] = value;
        _commandLine = $"{program} {string.Join(' ', info.ArgumentList)}";
        _process = new Process { StartInfo = info };
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_error, line.Data);
        PeerLauncher.Start(_process);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public StreamWriter StandardInput => _process.StandardInput;

    public string Output => Snapshot(_output);

    public string Error => Snapshot(_error);

    /// <summary>The command line, its exit code and its output, for failure messages.</summary>
    public string Report
        => $"$ {_commandLine}\n[{(_process.HasExited ? $"exit {_process.ExitCode}" : "running")}]\n{Output}{Error}";

    /// <summary>Starts a program and leaves it running.</summary>
    public static PeerProcess Start(
        string program, IEnumerable<string> arguments, string? workingDirectory = null, IReadOnlyDictionary<string, string>? environment = null)
        => new(program, arguments, workingDirectory, environment);

    /// <summary>Runs a program to its end and returns it; throws when it takes longer than <paramref name="timeout"/>.</summary>
    public static async Task<PeerProcess> RunAsync(
        string program, IEnumerable<string> arguments, TimeSpan? timeout = null, string? workingDirectory = null, string? input = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var peer = new PeerProcess(program, arguments, workingDirectory, environment);
        if (input is not null)
            await peer.StandardInput.WriteAsync(input);
        peer.StandardInput.Close();
        await peer.WaitForExitAsync(timeout ?? Patience);
        return peer;
    }

    /// <summary>Runs a program that must end with exit code 0 and returns its standard output.</summary>
    public static async Task<string> RunOkAsync(
        string program, IEnumerable<string> arguments, TimeSpan? timeout = null, string? workingDirectory = null, string? input = null)
    {
        await using var peer = await RunAsync(program, arguments, timeout, workingDirectory, input);
        return peer.ExitCode == 0 ? peer.Output : throw new InvalidOperationException(peer.Report);
    }

    /// <summary>
    /// Writes lines to its standard input, all at once: the first may have it end. Throws with its output where it has ended and takes none.
    /// </summary>
    public async Task SayAsync(params string[] lines)
    {
        try
        {
            await _process.StandardInput.WriteAsync(string.Concat(lines.Select(static line => line + "\n")));
            await _process.StandardInput.FlushAsync();
        }
        catch (IOException error)
        {
            // Its last lines say why.
            await Task.WhenAny(_process.WaitForExitAsync(), Task.Delay(Patience));
            throw new InvalidOperationException($"It does not take '{string.Join("', '", lines)}'.\n{Report}", error);
        }
    }

    /// <summary>Waits for the end; kills the program and throws with its output when it does not come in time.</summary>
    public async Task WaitForExitAsync(TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException cancelled)
        {
            _process.Kill(entireProcessTree: true);
            throw new TimeoutException($"Still running after {timeout.TotalSeconds:0} s.\n{Report}", cancelled);
        }
    }

    /// <summary>Waits until <paramref name="ready"/> holds; throws with the program's output when it ends or the time is over first.</summary>
    public async Task WaitUntilAsync(Func<PeerProcess, bool> ready, TimeSpan? timeout = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = timeout ?? Patience;
        // Not its exit, which can be seen before its last line has been read.
        var ended = _process.WaitForExitAsync();
        while (!ready(this))
        {
            if (ended.IsCompleted)
            {
                if (ready(this))
                    return;
                throw new InvalidOperationException($"Ended before it was ready.\n{Report}");
            }

            if (clock.Elapsed > limit)
                throw new TimeoutException($"Not ready after {limit.TotalSeconds:0} s.\n{Report}");
            await Task.WhenAny(ended, Task.Delay(10));
        }
    }

    /// <summary>Waits until a Unix socket takes connections; its file is there a moment before that.</summary>
    public Task WaitForSocketAsync(string path, TimeSpan? timeout = null)
        => WaitUntilAsync(
            _ =>
            {
                if (!File.Exists(path))
                    return false;
                using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    socket.Connect(new UnixDomainSocketEndPoint(path));
                    return true;
                }
                catch (SocketException)
                {
                    return false;
                }
            },
            timeout);

    /// <summary>Sends a signal such as <c>INT</c>, <c>TERM</c>, <c>KILL</c>, <c>STOP</c>.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await kill.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            try
            {
                await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            }
            catch (TimeoutException)
            {
                // It is gone, and something that has left it still holds its output open.
            }
        }

        _process.Dispose();
    }

    private static void Append(StringBuilder builder, string? line)
    {
        if (line is null)
            return;
        lock (builder)
            builder.Append(line).Append('\n');
    }

    private static string Snapshot(StringBuilder builder)
    {
        lock (builder)
            return builder.ToString();
    }
}
