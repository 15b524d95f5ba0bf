namespace Farspan.Cli.Mounting;

/// <summary>What became of a <see cref="ControlRequest"/>.</summary>
internal sealed record ControlReply
{
    /// <summary>After an unmount: whether TARGET is free.</summary>
    public bool Unmounted { get; init; }

    /// <summary>What failed, as a sentence; null after an unmount when everything is durable at the remote.</summary>
    public string? Error { get; init; }

    /// <summary>How the mount is, where that was asked.</summary>
    public MountReport? Status { get; init; }
}
