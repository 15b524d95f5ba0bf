namespace Farspan.Mounts;

/// <summary>What is left when a managed mount has closed.</summary>
/// <param name="UnpushedBytes">Bytes that were written and are not known to be durable at the remote; 0 where all went well.</param>
/// <param name="KeptIn">The cache directory that keeps them for the next mount, or null: without one they are lost.</param>
/// <param name="Error">Why they are left, or null.</param>
public sealed record MountCloseReport(long UnpushedBytes, string? KeptIn, Exception? Error)
{
    /// <summary>Whether everything that was written is durable at the remote.</summary>
    public bool IsComplete => UnpushedBytes == 0;
}
