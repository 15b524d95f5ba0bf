using System.Diagnostics;

namespace Farspan.Figures;

/// <summary>Runs the programs that are measured and those that measure.</summary>
internal static class Shell
{
    /// <summary>Runs a program to its end; returns its standard output; throws with its standard error where it fails.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Start(program, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await error}{await output}");
    }

    /// <summary>Starts a program that stays; the caller ends it.</summary>
    public static Process Start(string program, params string[] arguments)
    {
        var info = new ProcessStartInfo(program) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments)
            info.ArgumentList.Add(argument);
        return Launcher.Start(info) ?? throw new InvalidOperationException($"{program} did not start.");
    }

    /// <summary>Starts a server that stays; the caller ends it. What it says of errors is kept, the last of it.</summary>
    public static RunningServer Serve(string program, params string[] arguments) => new(program, Start(program, arguments));

    /// <summary>Waits until <paramref name="ready"/> holds, at most 30 s.</summary>
    public static async Task WaitAsync(string what, Func<bool> ready)
    {
        var clock = Stopwatch.StartNew();
        while (!ready())
        {
            if (clock.Elapsed > TimeSpan.FromSeconds(30))
                throw new TimeoutException($"{what} was not ready within 30 s.");
            await Task.Delay(2);
        }
    }

    /// <summary>Processor seconds that a process has used so far, all its threads, in user and kernel mode.</summary>
    public static double CpuSeconds(int processId)
    {
        // Fields 14 and 15 of /proc/PID/stat (proc(5)), counted after the parenthesised name; in ticks of 10 ms.
        string stat = File.ReadAllText($"/proc/{processId}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[11]) + long.Parse(fields[12])) / 100.0;
    }
}
