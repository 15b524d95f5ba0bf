namespace Farspan.Linux.Userfaults;

/// <summary>What is left when a region has closed.</summary>
/// <param name="UnsavedBytes">Bytes that were written in memory and could not be given to the backend: they are lost.</param>
/// <param name="UnpushedBytes">Bytes that the managed mount under the region could not bring to the remote.</param>
/// <param name="KeptIn">The cache directory that keeps the latter for the next time, or null.</param>
/// <param name="Error">Why they are left, or null.</param>
public sealed record RemoteMemoryReport(long UnsavedBytes, long UnpushedBytes, string? KeptIn, Exception? Error)
{
    /// <summary>Whether everything that was written is durable at the remote.</summary>
    public bool IsComplete => UnsavedBytes == 0 && UnpushedBytes == 0 && Error is null;
}
