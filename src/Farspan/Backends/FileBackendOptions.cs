namespace Farspan.Backends;

/// <summary>How a file is opened as a backend.</summary>
public sealed record FileBackendOptions
{
    /// <summary>
    /// Number of bytes. Default: null, the file's own length; the file must exist then. With a length an absent file is created, sparse, and a
    /// file of another length is an error. More than zero.
    /// </summary>
    public long? Length { get; init; }

    /// <summary>Open for reading only. Default: false, which still opens read-only where the file permits no more.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// Whether to hold an advisory lock while open: exclusive for a writer, shared for a reader. Default: true, so that a second writer gets an
    /// error instead of a damaged file. (The portable <see cref="FileBackend"/> keeps a shared lock even without it: .NET takes one.)
    /// </summary>
    public bool Lock { get; init; } = true;

    /// <summary>Whether to go around the page cache (O_DIRECT), where the operating system offers that. Default: false.</summary>
    public bool Direct { get; init; }

    /// <summary>The path that <paramref name="uri"/> names, for schemes whose path is a file or directory of this machine.</summary>
    /// <exception cref="FormatException">There is no path, or the URI names a host.</exception>
    public static string PathOf(BackendUri uri)
    {
        ArgumentNullException.ThrowIfNull(uri);
        if (uri.Authority is { Length: > 0 } host)
            throw new FormatException($"{uri} names the host '{host}'; for a path of this machine write {uri.Scheme}:{host}{uri.Path}.");
        return uri.Path.Length > 0 ? uri.Path : throw new FormatException($"{uri} has no path; give one such as {uri.Scheme}:data/disk.img.");
    }

    /// <summary>The options in <c>file:PATH?size=1GiB&amp;direct=on&amp;lock=off</c>.</summary>
    /// <exception cref="FormatException">A parameter is unknown or its value does not fit.</exception>
    public static FileBackendOptions Parse(BackendUri uri, BackendOpenOptions options)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(options);
        uri.AllowOnly("size", "direct", "lock");
        return new FileBackendOptions
        {
            Length = uri.GetLength("size"),
            ReadOnly = options.ReadOnly,
            Direct = uri.GetSwitch("direct"),
            Lock = uri.GetSwitch("lock", absent: true),
        };
    }

    /// <summary>Throws unless the values fit together.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><see cref="Length"/> is less than 1.</exception>
    public void Validate()
    {
        if (Length is < 1)
            throw new ArgumentOutOfRangeException(nameof(Length), $"A file backend has at least 1 byte, not {Length}.");
    }
}
