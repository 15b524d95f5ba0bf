using Farspan.Backends;

namespace Farspan.Nbd.Server;

/// <summary>A backend under the name by which clients ask for it.</summary>
public sealed record NbdExport
{
    /// <summary>
    /// The name: valid UTF-16 of at most 4096 bytes in UTF-8, without NUL. Clients that ask for the empty name get the export of that name,
    /// or else the first one of the server. Default: empty.
    /// </summary>
    public string Name { get; init; } = "";

    /// <summary>A line for people, shown by <c>nbdinfo --list</c>; limited like <see cref="Name"/>. Default: empty.</summary>
    public string Description { get; init; } = "";

    /// <summary>What is served. The server does not own it: dispose it after the server.</summary>
    public required IBackend Backend { get; init; }

    /// <summary>Refuse every write. Default: false, which still is read-only where the backend is.</summary>
    public bool ReadOnly { get; init; }
}
