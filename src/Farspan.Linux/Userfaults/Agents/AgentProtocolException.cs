namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The peer broke the protocol; the connection ends.</summary>
internal sealed class AgentProtocolException(string message) : Exception(message);
