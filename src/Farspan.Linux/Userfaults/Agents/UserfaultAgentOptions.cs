using Farspan.Linux.Processes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>How an agent serves the memory of other processes.</summary>
public sealed record UserfaultAgentOptions
{
    /// <summary>User ids that may connect. Default: null, the agent's own user alone; the socket's file is then for that user only too.</summary>
    public IReadOnlyList<uint>? AllowedUsers { get; init; }

    /// <summary>Refuse to map anything for writing. Default: no, unless the backend is read-only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Clients at once, from 1 to 4096; further ones are told so. Default: 64.</summary>
    public int MaximumClients { get; init; } = 64;

    /// <summary>Bytes that one client may map; at least a page. Default: null, no limit but the backend's length.</summary>
    public long? MaximumBytes { get; init; }

    /// <summary>Bytes of one client's region that may be in memory at one time; at least 16 chunks. What was written is saved before it goes. Default:
    /// null, all of it.</summary>
    public long? ResidentLimit { get; init; }

    /// <summary>Bytes of a chunk, which a fault brings as a whole: a power of two from 4 KiB to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>How often what a client wrote is saved: given to the backend, which makes it durable in its time. From 10 ms to a day. Default: 5 s.</summary>
    public TimeSpan SaveInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes brought ahead of faults that follow each other, up to 64 MiB; 0 for none. Default: 8 MiB.</summary>
    public int ReadAhead { get; init; } = 8 << 20;

    /// <summary>Threads that answer one client's page faults, from 1 to 64. Default: 2.</summary>
    public int FaultThreads { get; init; } = 2;

    /// <summary>Time from a connection to its mapped memory; a client that takes longer is sent away. More than zero. Default: 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the agent tries to save what a client wrote that has gone, or that it leaves itself. More than zero. Default: 60 s.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Is told of each client, once its memory is mapped and again when it has gone. Any thread calls it. Default: nobody is.</summary>
    public Action<AgentClientReport>? OnClient { get; init; }

    /// <summary>What the agent logs. Default: nothing.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    internal bool Allows(uint user) => AllowedUsers?.Contains(user) == true || user == CurrentUser.Id;

    /// <exception cref="ArgumentException">A value is out of its bounds; the message names it.</exception>
    public void Validate()
    {
        Check(MaximumClients is >= 1 and <= 4096, nameof(MaximumClients), "from 1 to 4096");
        Check(MaximumBytes is null || MaximumBytes >= Environment.SystemPageSize, nameof(MaximumBytes), "at least a page");
        Check(HandshakeTimeout > TimeSpan.Zero, nameof(HandshakeTimeout), "more than zero");
        Check(CloseTimeout > TimeSpan.Zero, nameof(CloseTimeout), "more than zero");
        new RemoteMemoryOptions
        {
            ChunkSize = ChunkSize, ResidentLimit = ResidentLimit, SaveInterval = SaveInterval, ReadAhead = ReadAhead, FaultThreads = FaultThreads,
        }.Validate();

        static void Check(bool holds, string name, string bounds)
        {
            if (!holds)
                throw new ArgumentException($"{name} has to be {bounds}.", name);
        }
    }
}
