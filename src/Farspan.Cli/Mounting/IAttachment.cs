namespace Farspan.Cli.Mounting;

/// <summary>How a mount appears to programs.</summary>
internal interface IAttachment : IAsyncDisposable
{
    /// <summary>Where programs find it: the mounted file, or the URI that clients use.</summary>
    string Path { get; }

    /// <summary>Completes when it has ended, with what went wrong.</summary>
    Task Completion { get; }

    /// <summary>Ends it; throws and leaves all as it was when programs still use it.</summary>
    Task UnmountAsync();
}
