using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>Makes the names in a directory durable, which .NET itself cannot.</summary>
public static class DirectorySync
{
    /// <summary>Returns once what was created, renamed and deleted in the directory is durable.</summary>
    /// <exception cref="BackendException">It cannot be opened or synchronised.</exception>
    public static void Sync(string directory)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        using var opened = FileOpening.OpenDescriptor(directory, Libc.O_RDONLY | Libc.O_DIRECTORY, mode: 0);
        FileCalls.Sync(opened, directory);
    }
}
