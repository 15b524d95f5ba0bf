namespace Farspan.Stages;

/// <summary>What goes wrong.</summary>
public enum FaultKind
{
    /// <summary>The call fails and nothing of it was done.</summary>
    Error,

    /// <summary>The first half of the range is done, then the call fails. A flush just fails, and so does a zero that may be refused for not being
    /// fast, since a refusal must leave everything as it was.</summary>
    Short,

    /// <summary>The call is done in full, then fails: the reply is lost.</summary>
    LostReply,

    /// <summary>The call waits, before anything is done, until it is released or cancelled; then it goes on.</summary>
    Stall,

    /// <summary>The call is done in full, then waits until it is released or cancelled.</summary>
    StalledReply,
}
