using Farspan.TestKit.Peers;

namespace Farspan.TestKit.Fuse;

/// <summary>
/// The way out of a hang: a process that waits for a FUSE file whose server stands still does not even die of SIGKILL; aborting the
/// connection ends it.
/// </summary>
public static class FuseConnection
{
    /// <summary>Aborts and detaches every FUSE mount at or under <paramref name="path"/>, as far as this user may.</summary>
    public static async Task AbortAsync(string path)
    {
        foreach (var (mountPoint, minor) in Mounts(path))
        {
            if (!Directory.Exists("/sys/fs/fuse/connections") || !Environment.IsPrivilegedProcess)
                continue;
            string abort = $"/sys/fs/fuse/connections/{minor}/abort";
            if (!File.Exists(abort))
                await (await PeerProcess.RunAsync("mount", ["-t", "fusectl", "none", "/sys/fs/fuse/connections"])).DisposeAsync();
            if (File.Exists(abort))
                await File.WriteAllTextAsync(abort, "1");
            await (await PeerProcess.RunAsync("umount", ["-l", mountPoint])).DisposeAsync();
        }
    }

    /// <summary>The FUSE mounts at or under <paramref name="path"/>, with the minor number that names their connection.</summary>
    public static IReadOnlyList<(string MountPoint, string Minor)> Mounts(string path)
    {
        var found = new List<(string, string)>();
        foreach (string line in File.ReadLines("/proc/self/mountinfo"))
        {
            string[] fields = line.Split(' ');
            bool isUnder = fields[4] == path || fields[4].StartsWith(path + "/", StringComparison.Ordinal);
            if (isUnder && line.Contains(" - fuse.", StringComparison.Ordinal))
                found.Add((fields[4], fields[2].Split(':')[1]));
        }

        return found;
    }
}
