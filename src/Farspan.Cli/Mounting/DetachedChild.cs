using System.Diagnostics;
using Farspan.Linux.Processes;

namespace Farspan.Cli.Mounting;

/// <summary>
/// Runs this program's command line again in a process that goes on in the background. The two talk through the child's standard streams
/// until it is ready: a line on its output says so, its error output is passed on, and the end of its input tells it to give up.
/// </summary>
internal static class DetachedChild
{
    /// <summary>Set for the child.</summary>
    public const string EnvironmentVariable = "FARSPAN_DETACHED";

    private static int _isReady;

    /// <summary>Whether this process is such a child.</summary>
    public static bool IsThisProcess => Environment.GetEnvironmentVariable(EnvironmentVariable) == "1";

    /// <summary>Starts the child and waits until it is ready; returns its line, or null and its exit code when it failed.</summary>
    public static async Task<(string? Line, int ExitCode)> StartAsync(
        IEnumerable<string> arguments, TextWriter error, CancellationToken cancellationToken)
    {
        DetachedSession.KeepDescriptorsFromChildren();
        using var child = Process.Start(ThisProgram(arguments))!;
        await using var giveUp = cancellationToken.Register(() => child.StandardInput.Close());
        // The runtime keeps copies of its standard streams, so a child that goes on never closes these pipes: only one that failed does.
        var errors = child.StandardError.ReadToEndAsync(CancellationToken.None);
        string? line = await child.StandardOutput.ReadLineAsync(CancellationToken.None);
        if (line is not null)
            return (line, ExitCodes.Done);
        await child.WaitForExitAsync(CancellationToken.None);
        // What a child says that was told to give up is no news.
        cancellationToken.ThrowIfCancellationRequested();
        await error.WriteAsync(await errors);
        return (null, child.ExitCode == 0 ? ExitCodes.Failed : child.ExitCode);
    }

    /// <summary>In the child, once: a token that is cancelled with the one given, and when the parent gives up before <see cref="Ready"/>.</summary>
    public static CancellationToken Begin(CancellationToken cancellationToken)
    {
        DetachedSession.Enter();
        // Lives as long as the process: the watching thread may come back to it at any time.
        var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watch = new Thread(() => WatchInput(source)) { IsBackground = true, Name = "parent watch" };
        watch.Start();
        return source.Token;
    }

    /// <summary>In the child: tells the parent, and lets go of its terminal and pipes; messages go to a file from now on.</summary>
    public static void Ready(TextWriter output, string line, string log)
    {
        Interlocked.Exchange(ref _isReady, 1);
        output.WriteLine(line);
        output.Flush();
        DetachedSession.RedirectStandardStreams(log);
    }

    /// <summary>How to start this program again.</summary>
    internal static ProcessStartInfo ThisProgram(IEnumerable<string> arguments)
    {
        string self = Environment.ProcessPath ?? throw new CommandException("the program cannot find itself in /proc; is /proc mounted?");
        bool isHost = Path.GetFileNameWithoutExtension(self) == "dotnet";
        var start = new ProcessStartInfo(self)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (isHost)
            start.ArgumentList.Add(typeof(DetachedChild).Assembly.Location);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment[EnvironmentVariable] = "1";
        return start;
    }

    private static void WatchInput(CancellationTokenSource source)
    {
        using var input = Console.OpenStandardInput();
        Span<byte> ignored = stackalloc byte[16];
        try
        {
            while (input.Read(ignored) > 0)
            {
            }
        }
        catch (IOException)
        {
            // The same as its end.
        }

        if (Volatile.Read(ref _isReady) == 0)
            source.Cancel();
    }
}
