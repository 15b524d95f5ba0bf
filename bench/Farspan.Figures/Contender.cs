using System.Diagnostics;

namespace Farspan.Figures;

/// <summary>One of the programs compared: where it can be reached, and the process whose processor time counts (null: the kernel itself).</summary>
internal sealed class Contender(string name, string path, Process? process, Func<Task>? end = null) : IAsyncDisposable
{
    public string Name { get; } = name;

    /// <summary>The Unix socket or the file to measure.</summary>
    public string Path { get; } = path;

    public double CpuSeconds => process is null ? 0 : Shell.CpuSeconds(process.Id);

    public async ValueTask DisposeAsync()
    {
        if (end is not null)
            await end();
        if (process is null)
            return;
        if (!process.HasExited)
            await Shell.RunAsync("kill", "-TERM", $"{process.Id}");
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }

        process.Dispose();
    }
}
