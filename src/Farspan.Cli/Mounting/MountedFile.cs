namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan mount</c> says once TARGET is ready, and with <c>--json</c> prints.</summary>
/// <param name="Path">The mounted file.</param>
/// <param name="Target">The TARGET of the command line, as an absolute path.</param>
/// <param name="Remote">The URI that is mounted.</param>
/// <param name="Length">Its number of bytes.</param>
/// <param name="ReadOnly">Whether it can only be read.</param>
/// <param name="ProcessId">The process that serves it.</param>
internal sealed record MountedFile(string Path, string Target, string Remote, long Length, bool ReadOnly, int ProcessId)
{
    /// <summary>Whether there is a local cache.</summary>
    public bool Managed { get; init; }

    /// <summary>The cache directory; null for a direct mount and a cache in memory.</summary>
    public string? Cache { get; init; }

    /// <summary>The URIs at which NBD clients find it, as <c>--listen</c> says; null without.</summary>
    public IReadOnlyList<string>? Listens { get; init; }

    /// <summary>Bytes that were local when TARGET was ready; null for a direct mount.</summary>
    public long? LocalBytes { get; init; }
}
