using System.Diagnostics;
using System.Globalization;

namespace Farspan.Figures.Mounts;

/// <summary>A mount that was started for one measurement. Disposing it ends it and removes what it kept.</summary>
internal sealed class RunningMount(Process process, string path, string? mountPoint, string directory) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The file, or the socket of an NBD server.</summary>
    public string Path { get; } = path;

    /// <summary>Whether it is read by NBD.</summary>
    public bool IsNbd => mountPoint is null;

    /// <summary>The time from the start of the program until it could be read.</summary>
    public TimeSpan TimeToReady { get; set; }

    /// <summary>Resident bytes of the program and those that it started.</summary>
    public long ResidentBytes => Family(process.Id).Sum(Resident);

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
            await (mountPoint is null ? Shell.RunAsync("kill", "-TERM", $"{process.Id}") : UnmountAsync(mountPoint));
        using var deadline = new CancellationTokenSource(Patience);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }

        process.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private static async Task UnmountAsync(string mountPoint)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                await Shell.RunAsync("umount", mountPoint);
                return;
            }
            catch (InvalidOperationException) when (attempt < 50)
            {
                // A program that was just ended may still hold the file.
                await Task.Delay(100);
            }
        }
    }

    private static IEnumerable<int> Family(int processId)
    {
        yield return processId;
        foreach (string child in File.ReadAllText($"/proc/{processId}/task/{processId}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            foreach (int member in Family(int.Parse(child, CultureInfo.InvariantCulture)))
                yield return member;
        }
    }

    private static long Resident(int processId)
    {
        string line = File.ReadLines($"/proc/{processId}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
    }
}
