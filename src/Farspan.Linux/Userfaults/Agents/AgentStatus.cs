namespace Farspan.Linux.Userfaults.Agents;

/// <summary>How a request ended.</summary>
internal enum AgentStatus : ushort
{
    Done = 0,

    /// <summary>The peer broke the protocol; the connection ends.</summary>
    Protocol = 1,

    /// <summary>This user may not, or there are too many clients; the connection ends.</summary>
    Refused = 2,

    /// <summary>The request cannot be carried out as it is.</summary>
    Invalid = 3,

    /// <summary>It may be read only.</summary>
    ReadOnly = 4,

    /// <summary>Another client has what was asked for.</summary>
    Busy = 5,

    /// <summary>The backend failed; it can be tried again.</summary>
    Failed = 6,

    /// <summary>This kernel cannot.</summary>
    NotSupported = 7,

    /// <summary>The agent ends.</summary>
    Ending = 8,
}
