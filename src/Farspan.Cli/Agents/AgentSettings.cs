using Farspan.Cli.Mounting;
using Farspan.Linux.Userfaults.Agents;

namespace Farspan.Cli.Agents;

/// <summary>What <c>farspan uffd-agent</c> was asked for.</summary>
internal sealed record AgentSettings
{
    /// <summary>The URI of what is served.</summary>
    public required string Backend { get; init; }

    /// <summary>The socket's path.</summary>
    public required string SocketPath { get; init; }

    /// <summary>How clients are served.</summary>
    public required UserfaultAgentOptions Options { get; init; }

    /// <summary>The managed mount between the clients and the backend; null for none.</summary>
    public ManagedSettings? Managed { get; init; }

    /// <summary>Time for connecting to a remote backend and for each request. More than zero.</summary>
    public required TimeSpan Timeout { get; init; }
}
