namespace Farspan.TestKit;

/// <summary>A control group of version 2, made for a test. Disposing it kills what is in it.</summary>
public sealed class ControlGroup : IDisposable
{
    private ControlGroup(string path) => Path = path;

    /// <summary>Where control groups of version 2 are; null where they are not, or cannot be frozen.</summary>
    public static string? MountPoint { get; } = File.ReadLines("/proc/self/mountinfo")
        .Where(static line => line.Contains(" - cgroup2 ", StringComparison.Ordinal)).Select(static line => line.Split(' ')[4]).FirstOrDefault(CanMake);

    /// <summary>Its directory.</summary>
    public string Path { get; }

    /// <summary>Its name, as <c>/proc/PID/cgroup</c> has it.</summary>
    public string Name => Path[MountPoint!.Length..];

    public static ControlGroup Create() => new(Directory.CreateDirectory($"{MountPoint}/farspan-test-{Guid.NewGuid():N}").FullName);

    /// <summary>Moves a process into it.</summary>
    public void Add(int processId) => File.WriteAllText($"{Path}/cgroup.procs", $"{processId}");

    public void Dispose()
    {
        File.WriteAllText($"{Path}/cgroup.kill", "1");
        File.WriteAllText($"{Path}/cgroup.freeze", "0");
        SpinWait.SpinUntil(() => File.ReadAllText($"{Path}/cgroup.procs").Length == 0, TimeSpan.FromSeconds(90));
        Directory.Delete(Path);
    }

    private static bool CanMake(string mountPoint)
    {
        try
        {
            string trial = Directory.CreateDirectory($"{mountPoint}/farspan-trial-{Environment.ProcessId}").FullName;
            bool can = File.Exists($"{trial}/cgroup.freeze") && File.Exists($"{trial}/cgroup.kill");
            Directory.Delete(trial);
            return can;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
