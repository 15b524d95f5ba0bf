namespace Farspan.Linux.Userfaults.Agents;

/// <summary>What a message between a client and the agent is about; docs/wire/uffd-agent.md. A reply has the same number and <see cref="Reply"/>.</summary>
internal enum AgentMessage : ushort
{
    /// <summary>The first of each client.</summary>
    Hello = 1,

    /// <summary>Here are the descriptors of my memory: serve it.</summary>
    Map = 2,

    /// <summary>Bring what was written to the backend, and make it durable.</summary>
    Flush = 3,

    /// <summary>Bring a range ahead of its use.</summary>
    Prefetch = 4,

    /// <summary>How is it going?</summary>
    Status = 5,

    /// <summary>As <see cref="Flush"/>, and serve no more.</summary>
    Close = 6,

    /// <summary>From the agent, unasked: it serves no more, and the text says why.</summary>
    Ended = 7,

    /// <summary>The bit of a reply.</summary>
    Reply = 0x8000,
}
