using Farspan.Backends;
using Farspan.Linux.Fuse;

namespace Farspan.Linux.Mounts;

/// <summary>How a backend is mounted directly, without a local cache.</summary>
public sealed record DirectMountOptions
{
    /// <summary>Open and mount for reading only. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// How the file is mounted. Default: as <see cref="FuseMountOptions"/> has it. Where the <c>farspan</c> program serves the file, it gets the
    /// file's name, its mode and who may use it; the rest is the program's.
    /// </summary>
    public FuseMountOptions Fuse { get; init; } = new();

    /// <summary>How the backend is opened, where the mount opens it. Default: as <see cref="BackendOpenOptions"/> has it.</summary>
    public BackendOpenOptions Backend { get; init; } = new();

    /// <summary>
    /// The <c>farspan</c> program, for mounts that another process is to serve. Default: what the environment variable FARSPAN_PROGRAM names,
    /// else <c>farspan</c> beside this application, else on the search path.
    /// </summary>
    public string? Program { get; init; }

    /// <summary>Threads for the asynchronous calls of an opened file or memory. Default: 8. 1 to 256.</summary>
    public int FileThreads { get; init; } = 8;

    /// <exception cref="ArgumentException">A property is outside what its description allows.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(Fuse);
        ArgumentNullException.ThrowIfNull(Backend);
        Fuse.Validate();
        if (FileThreads is < 1 or > 256)
            throw new ArgumentException($"{nameof(FileThreads)} {FileThreads} is not between 1 and 256.");
    }
}
