namespace Farspan.Figures.Mounts;

/// <summary>What one mount is made of, and where.</summary>
/// <param name="Socket">The Unix socket on which the remote answers NBD, at the end of the line.</param>
/// <param name="Address">Where it answers HTTP, at the end of the same kind of line; null where it does not.</param>
/// <param name="Directory">An empty directory for what the mount keeps, and for its target.</param>
internal sealed record MountPlace(string Socket, string? Address, string Directory)
{
    /// <summary>The mounted file, or the socket, of programs that let it be chosen.</summary>
    public string Target => Path.Combine(Directory, "export");

    /// <summary>The remote, as our program and libnbd know it.</summary>
    public string Uri => $"nbd+unix:///?socket={Socket}";
}
