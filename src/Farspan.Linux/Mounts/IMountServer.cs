namespace Farspan.Linux.Mounts;

/// <summary>What serves a mounted file: threads of this process, or another process.</summary>
internal interface IMountServer : IAsyncDisposable
{
    /// <summary>The mounted file.</summary>
    string Path { get; }

    /// <summary>The process that serves it.</summary>
    int ProcessId { get; }

    /// <summary>Whether this process serves it, and so must not map it.</summary>
    bool IsThisProcess { get; }

    /// <summary>Completes when the mount has ended, with what went wrong.</summary>
    Task Completion { get; }

    /// <summary>Unmounts; throws and leaves all as it was when the file is in use.</summary>
    Task UnmountAsync(CancellationToken cancellationToken);
}
