using System.Diagnostics;

namespace Farspan.Figures;

/// <summary>A server that measurements share. Whether it lives and what it complained of tells why one of them failed. Disposing it ends it.</summary>
internal sealed class RunningServer : IDisposable
{
    private const int KeptLines = 20;

    private readonly string _name;
    private readonly Process _process;
    private readonly Queue<string> _complaints = new();

    /// <summary>Takes the process over.</summary>
    public RunningServer(string name, Process process)
    {
        _name = name;
        _process = process;

        // Read all the time: a server whose pipe is full stands still.
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.OutputDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
    }

    /// <summary>What it said last on standard error, and that it ended, if it did; empty where all is well.</summary>
    public string Report()
    {
        string end = _process.HasExited ? $"{_name} ended with {_process.ExitCode}.\n" : "";
        lock (_complaints)
            return end + string.Concat(_complaints.Select(line => $"{_name}: {line}\n"));
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (_complaints)
        {
            if (_complaints.Count == KeptLines)
                _complaints.Dequeue();
            _complaints.Enqueue(line);
        }
    }
}
