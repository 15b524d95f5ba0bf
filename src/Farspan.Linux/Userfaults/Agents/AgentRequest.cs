namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A client's request, as it came over the socket.</summary>
/// <param name="Message">What it asks for; says which of the others means something.</param>
/// <param name="Id">Its number.</param>
/// <param name="Hello">With HELLO.</param>
/// <param name="Mapping">With MAP.</param>
/// <param name="Range">With PREFETCH.</param>
internal readonly record struct AgentRequest(AgentMessage Message, uint Id, AgentHello Hello, AgentMapping Mapping, AgentRange Range)
{
    /// <summary>Descriptors that come with MAP.</summary>
    public const int MapDescriptors = 2;

    /// <summary>The body's length that a request must have; null for what is no request.</summary>
    public static int? BodyOf(AgentMessage message) => message switch
    {
        AgentMessage.Hello => AgentHello.Size,
        AgentMessage.Map => AgentMapping.Size,
        AgentMessage.Prefetch => AgentRange.Size,
        AgentMessage.Flush or AgentMessage.Status or AgentMessage.Close => 0,
        _ => null,
    };

    /// <summary>Checks a header before its body is waited for.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? Check(ReadOnlySpan<byte> bytes, out AgentHeader header)
    {
        if (!AgentHeader.TryRead(bytes, out header))
            return "These bytes are no message of the agent's protocol.";
        if (BodyOf(header.Message) is not { } body || header.Status != AgentStatus.Done)
            return $"There is no request {(int)header.Message}.";
        return body == header.BodyLength ? null : $"A {header.Message} has {body} bytes, and {header.BodyLength} are announced.";
    }

    /// <summary>Reads a request whose header was checked.</summary>
    /// <param name="header">The header.</param>
    /// <param name="body">As many bytes as it announces.</param>
    /// <param name="descriptors">How many came with it.</param>
    /// <param name="request">The request.</param>
    /// <returns>What is wrong, or null.</returns>
    public static string? Read(AgentHeader header, ReadOnlySpan<byte> body, int descriptors, out AgentRequest request)
    {
        var hello = default(AgentHello);
        var mapping = default(AgentMapping);
        var range = default(AgentRange);
        bool isRead = header.Message switch
        {
            AgentMessage.Hello => AgentHello.TryRead(body, out hello),
            AgentMessage.Map => AgentMapping.TryRead(body, out mapping),
            AgentMessage.Prefetch => AgentRange.TryRead(body, out range),
            _ => body.Length == 0,
        };
        request = new AgentRequest(header.Message, header.Id, hello, mapping, range);
        int wanted = header.Message == AgentMessage.Map ? MapDescriptors : 0;
        if (!isRead)
            return $"The body of a {header.Message} is wrong.";
        return descriptors == wanted ? null : $"A {header.Message} comes with {wanted} descriptors, and there were {descriptors}.";
    }
}
