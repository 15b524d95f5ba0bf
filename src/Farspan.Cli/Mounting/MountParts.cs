using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Mounts.Tracing;

namespace Farspan.Cli.Mounting;

/// <summary>What a running mount consists of.</summary>
internal sealed record MountParts
{
    /// <summary>What was asked for.</summary>
    public required MountSettings Settings { get; init; }

    /// <summary>The remote, or the managed mount of it.</summary>
    public required IBackend Backend { get; init; }

    /// <summary>How it appears to programs.</summary>
    public required IAttachment Attachment { get; init; }

    /// <summary>Its servers.</summary>
    public required MountExports Exports { get; init; }

    /// <summary>What stands between the file and the backend and notes first accesses; null without.</summary>
    public AccessRecorder? Recorder { get; init; }

    /// <summary>What others find it by.</summary>
    public required MountRecord Record { get; init; }

    /// <summary>Keeps other processes from mounting there.</summary>
    public required FileStream Exclusive { get; init; }

    /// <summary>What warms the program up. It ends by itself, and what becomes of it matters to nobody.</summary>
    public required Task Rehearsal { get; init; }

    /// <summary>The managed mount; null for a direct one.</summary>
    public ManagedBackend? Managed => Backend as ManagedBackend;
}
