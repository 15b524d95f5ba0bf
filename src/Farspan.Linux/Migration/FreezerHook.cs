using Farspan.Linux.Fuse;

namespace Farspan.Linux.Migration;

/// <summary>Freezes a control group (version 2) with every process in it and below it, such as a systemd unit or a container.</summary>
internal sealed class FreezerHook : IProgramHook
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(20);

    private readonly string _directory;

    private FreezerHook(string directory) => _directory = directory;

    /// <summary>The hook of a control group.</summary>
    /// <param name="group">Its directory, or its name as <c>/proc/PID/cgroup</c> has it, such as <c>/system.slice/db.service</c>.</param>
    /// <exception cref="HookException">There is none of version 2, it is not ours to freeze, or this process is in it.</exception>
    public static FreezerHook For(string group)
    {
        string? root = MountPoint();
        string directory = File.Exists(Path.Combine(group, "cgroup.freeze")) ? Path.GetFullPath(group) : root is null ? "" : Path.Join(root, group).TrimEnd('/');
        if (!File.Exists(Path.Combine(directory, "cgroup.freeze")))
            throw new HookException($"{group} is no control group of version 2 that can be frozen; give one as /proc/PID/cgroup has it, or its directory.");
        string own = Path.Join(root, OwnGroup());
        if (own == directory || own.StartsWith(directory + "/", StringComparison.Ordinal))
            throw new HookException($"This process is in {group} itself, which cannot freeze itself and go on; start it outside.");
        return new FreezerHook(directory);
    }

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        Write("1");
        for (var pause = TimeSpan.FromMilliseconds(0.5); !IsFrozen(); pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
            await Task.Delay(pause, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        // A group that is gone has nobody to let go on.
        if (Directory.Exists(_directory))
            Write("0");
        return default;
    }

    /// <summary>Where control groups of version 2 are mounted; null where they are not.</summary>
    internal static string? MountPoint() => MountInfo.ReadAll().Find(static mount => mount.FileSystem == "cgroup2")?.MountPoint;

    private static string OwnGroup()
        => File.ReadLines("/proc/self/cgroup").FirstOrDefault(static line => line.StartsWith("0::", StringComparison.Ordinal)) is { } line ? line[3..].TrimEnd('/') : "";

    private bool IsFrozen()
    {
        try
        {
            return File.ReadLines(Path.Combine(_directory, "cgroup.events")).Contains("frozen 1", StringComparer.Ordinal);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return true;
        }
    }

    private void Write(string value)
    {
        try
        {
            File.WriteAllText(Path.Combine(_directory, "cgroup.freeze"), value);
        }
        catch (DirectoryNotFoundException)
        {
            // The group has ended, and so has what ran in it.
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new HookException($"{(value == "1" ? "Freezing" : "Thawing")} {_directory} failed: {error.Message}", error);
        }
    }
}
