using System.Diagnostics;

namespace Farspan.Figures.Mounts;

/// <summary>A program that is measured as a mount: how it is started, and what it makes.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Command">Its command line.</param>
/// <param name="Made">What can be read once it is ready: a file, or the socket of an NBD server.</param>
/// <param name="MountPoint">What is unmounted to end it; null for a server, which a signal ends.</param>
internal sealed record MountProgram(
    string Name, Func<MountPlace, (string Program, string[] Arguments)> Command, Func<MountPlace, string> Made, Func<MountPlace, string>? MountPoint)
{
    private const string NbdkitFilters = "--filter=readahead --filter=cache";
    private const string NbdkitSettings = "cache-on-read=true";
    private const string CacheInMemory = "TMPDIR=/dev/shm";

    /// <summary>Our managed mount, its cache in memory as the program's default is.</summary>
    public static MountProgram Managed(string farspan, string name, params string[] more) => new(
        name, place => (farspan, ["mount", place.Uri, place.Target, "--foreground", .. more]), place => place.Target, place => place.Target);

    /// <summary>Our managed mount with a cache directory.</summary>
    public static MountProgram WithDirectory(string farspan) => new(
        "farspan --cache", place => (farspan, ["mount", place.Uri, place.Target, "--foreground", "--cache", Path.Combine(place.Directory, "cache")]),
        place => place.Target, place => place.Target);

    /// <summary>nbdkit with its filters; read by NBD, without the cost of a file.</summary>
    public static MountProgram Nbdkit(string block) => new(
        "nbdkit filters", place => ("env", [CacheInMemory, "nbdkit", "-f", "-t", "32", "-U", place.Target, .. Filtered(place, block)]), place => place.Target, MountPoint: null);

    /// <summary>The same as a file.</summary>
    public static MountProgram Nbdfuse(string block) => new(
        "nbdfuse+nbdkit", place => ("env", [CacheInMemory, "nbdfuse", place.Target, "[", "nbdkit", "-t", "32", .. Filtered(place, block), "]"]),
        place => Path.Combine(place.Target, "nbd"), place => place.Target);

    /// <summary>rclone's mount of the same bytes over HTTP (WebDAV), with its full cache and generous reading ahead.</summary>
    public static MountProgram Rclone() => new(
        "rclone", place => (
            "rclone",
            [
                "mount", ":webdav:", place.Target, "--webdav-url", $"http://{place.Address}", "--config", "/dev/null", "--vfs-cache-mode", "full",
                "--cache-dir", Path.Combine(place.Directory, "cache"), "--vfs-read-ahead", "256M", "--buffer-size", "64M",
            ]),
        place => Path.Combine(place.Target, "export"), place => place.Target);

    /// <summary>Starts it; returns when it can be read, which must be of <paramref name="length"/> bytes where it is a file.</summary>
    public async Task<RunningMount> StartAsync(MountPlace place, long length)
    {
        var (program, arguments) = Command(place);
        string made = Made(place);
        if (made != place.Target)
            Directory.CreateDirectory(place.Target);
        var clock = Stopwatch.StartNew();
        var process = Shell.Start(program, arguments);
        var running = new RunningMount(process, made, MountPoint?.Invoke(place), place.Directory);
        try
        {
            await Shell.WaitAsync(Name, () => process.HasExited || IsReady(made, length));
            if (process.HasExited)
                throw new InvalidOperationException($"{Name} ended: {await process.StandardError.ReadToEndAsync()}");
            running.TimeToReady = clock.Elapsed;
            return running;
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    private static string[] Filtered(MountPlace place, string block) => [.. NbdkitFilters.Split(' '), "nbd", $"socket={place.Socket}", NbdkitSettings, $"cache-min-block-size={block}"];

    private bool IsReady(string made, long length) => File.Exists(made) && (MountPoint is null || new FileInfo(made).Length == length);
}
