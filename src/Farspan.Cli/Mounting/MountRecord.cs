using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Farspan.Backends;
using Farspan.Cli.Terminal;
using Farspan.Linux.Processes;

namespace Farspan.Cli.Mounting;

/// <summary>What a running mount leaves in the runtime directory, so that <c>farspan umount</c> finds it.</summary>
/// <param name="Target">The TARGET of the command line, as an absolute path.</param>
/// <param name="Path">The path of the mounted file; equal to <paramref name="Target"/> unless that is a directory.</param>
/// <param name="Remote">The URI that is mounted.</param>
/// <param name="ReadOnly">Whether it can only be read.</param>
/// <param name="ProcessId">The process that serves it.</param>
/// <param name="ProcessStart">When that started, which tells it from a later one of the same number.</param>
/// <param name="ControlSocket">The Unix socket on which it takes requests.</param>
/// <param name="Log">The file that holds its messages.</param>
internal sealed record MountRecord(string Target, string Path, string Remote, bool ReadOnly, int ProcessId, long ProcessStart, string ControlSocket, string Log)
{
    /// <summary><c>seed</c> or <c>leech</c> of a region that moves; null of a mount.</summary>
    public string? Kind { get; init; }

    /// <summary>Whether it is a managed mount.</summary>
    public bool IsManaged { get; init; }

    /// <summary>Its cache directory; null for a direct mount and a cache in memory.</summary>
    public string? Cache { get; init; }

    /// <summary>The URIs at which it is served to clients; null where it is not.</summary>
    public IReadOnlyList<string>? Listens { get; init; }

    /// <summary>What the command line says of clients: where to listen, and how.</summary>
    public IReadOnlyList<string> ExportArguments { get; init; } = [];

    /// <summary>Whether it is a file, and not only served to clients.</summary>
    [JsonIgnore]
    public bool IsFile => Path.StartsWith('/');

    /// <summary>The command that goes on with what is in its cache directory; null where there is none, or nothing was ever written to it.</summary>
    [JsonIgnore]
    public string? ResumeCommand => Cache is null || ReadOnly
        ? null
        : IsFile
            ? ShellWord.Join(["farspan", "mount", Remote, Target, "--cache", Cache, .. ExportArguments])
            : ShellWord.Join(["farspan", "serve", Remote, "--managed", "--cache", Cache, .. ExportArguments]);

    /// <summary>The Unix socket on which it serves what it shows, by NBD, for reading.</summary>
    [JsonIgnore]
    public string ExportSocket => System.IO.Path.ChangeExtension(ControlSocket, ".nbd");

    /// <summary>Whether the process that serves it lives.</summary>
    [JsonIgnore]
    public bool IsServed => ProcessLife.StartOf(ProcessId) == ProcessStart;

    /// <summary>The record of a mount that is about to be made; it is not written yet.</summary>
    public static MountRecord Create(string runtimeDirectory, string target, string path, string remote)
    {
        string name = Name(target);
        return new MountRecord(
            target, path, remote, ReadOnly: false, Environment.ProcessId, ProcessLife.StartOf(Environment.ProcessId) ?? 0,
            System.IO.Path.Combine(runtimeDirectory, name + ".sock"), System.IO.Path.Combine(runtimeDirectory, name + ".log"));
    }

    /// <summary>The record of the mount at a target, a mounted file's path or a URI at which it is served; or null.</summary>
    public static MountRecord? Find(string runtimeDirectory, string path)
        => List(runtimeDirectory).FirstOrDefault(record => record.Target == path)
            ?? List(runtimeDirectory).FirstOrDefault(record => record.Path == path || record.IsListeningAt(path));

    /// <summary>Whether it is served at what is written so, as <see cref="BackendUri.Identity"/>.</summary>
    public bool IsListeningAt(string identity) => Listens?.Any(uri => BackendUri.Parse(uri).Identity == identity) == true;

    /// <summary>All records; files that are none are passed over.</summary>
    public static IEnumerable<MountRecord> List(string runtimeDirectory)
    {
        if (!Directory.Exists(runtimeDirectory))
            yield break;
        foreach (string file in Directory.EnumerateFiles(runtimeDirectory, "*.json"))
        {
            if (Read(file) is { } record)
                yield return record;
        }
    }

    /// <summary>Writes the record so that readers see all of it or nothing.</summary>
    public void Write()
    {
        string file = FileName;
        string unfinished = $"{file}.{Environment.ProcessId}";
        File.WriteAllText(unfinished, JsonSerializer.Serialize(this, CliJson.Shapes.MountRecord));
        File.Move(unfinished, file, overwrite: true);
    }

    /// <summary>Removes the record and the control socket; the log stays when <paramref name="keepLog"/> says so.</summary>
    public void Remove(bool keepLog)
    {
        File.Delete(FileName);
        File.Delete(ControlSocket);
        File.Delete(ExportSocket);
        if (!keepLog)
            File.Delete(Log);
    }

    /// <summary>Removes the lock file that a process which died has left, unless another process holds it by now.</summary>
    public void RemoveLock()
    {
        try
        {
            new FileStream(LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (IOException)
        {
            // Somebody mounts there again.
        }
    }

    /// <summary>Removes all that a process which died has left in the runtime directory but messages, and says whether there are any.</summary>
    public bool RemoveDead()
    {
        bool hasMessages = new FileInfo(Log) is { Exists: true, Length: > 0 };
        Remove(keepLog: hasMessages);
        RemoveLock();
        return hasMessages;
    }

    /// <summary>Held while a process serves, or is about to.</summary>
    [JsonIgnore]
    public string LockFile => System.IO.Path.ChangeExtension(ControlSocket, ".lock");

    private string FileName => System.IO.Path.ChangeExtension(ControlSocket, ".json");

    // A hash keeps the socket's path under the 107 bytes that the kernel takes, whatever the target's.
    private static string Name(string target) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)).AsSpan(0, 8));

    private static MountRecord? Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(file), CliJson.Shapes.MountRecord);
        }
        catch (Exception error) when (error is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
