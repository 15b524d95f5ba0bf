namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A client of an agent, when its memory was mapped or when it has gone.</summary>
public sealed record AgentClientReport
{
    /// <summary>Clients are counted from 1.</summary>
    public required long Number { get; init; }

    /// <summary>The process that connected.</summary>
    public required int ProcessId { get; init; }

    /// <summary>Its user.</summary>
    public required uint UserId { get; init; }

    /// <summary>Whether it has gone.</summary>
    public required bool HasGone { get; init; }

    /// <summary>The first byte of the backend that it has mapped.</summary>
    public required long Offset { get; init; }

    /// <summary>Bytes of the backend that it has mapped.</summary>
    public required long Length { get; init; }

    /// <summary>Whether it may write.</summary>
    public required bool IsWritable { get; init; }

    /// <summary>Bytes that were brought for it.</summary>
    public required long BroughtBytes { get; init; }

    /// <summary>Bytes that it wrote and that were saved.</summary>
    public required long SavedBytes { get; init; }

    /// <summary>Once it has gone: bytes that it wrote and that could not be saved; they are lost.</summary>
    public required long LostBytes { get; init; }

    /// <summary>Its page faults.</summary>
    public required long Faults { get; init; }

    /// <summary>Once it has gone: why, where it did not close; else the last error that it was not told.</summary>
    public required string? Error { get; init; }
}
