using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Stages;

/// <summary>
/// Puts a simulated line between the caller and the backend below: a request travels up, with the bytes of a write, the reply down, with the
/// bytes of a read. Requests follow each other without waiting for replies, and share the line's rate.
/// </summary>
/// <remarks>
/// Every request counts <see cref="RequestHeaderSize"/> bytes and every reply <see cref="ReplyHeaderSize"/>, as in NBD; each listed extent 16. A
/// failure travels down as a reply. A call that is cancelled while its request is on the way does not reach the backend below. Nothing is
/// lent. Thread-safe.
/// </remarks>
public sealed class SimulatedLinkStage : InterceptingStage
{
    /// <summary>Bytes of a request beside its payload.</summary>
    public const int RequestHeaderSize = 28;

    /// <summary>Bytes of a reply beside its payload.</summary>
    public const int ReplyHeaderSize = 16;

    private readonly LinkModel _link;

    /// <summary>Wraps <paramref name="inner"/>, the far side.</summary>
    public SimulatedLinkStage(IBackend inner, LinkModel link)
        : base(inner)
    {
        ArgumentNullException.ThrowIfNull(link);
        _link = link;
    }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
        => SendAsync(call, cancellationToken);

    private async ValueTask SendAsync(StageCall call, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await _link.WaitUntilAsync(_link.SendUp(RequestHeaderSize + call.RequestPayload), cancellationToken);
        var listed = call.Extents is null ? null : new List<Extent>();
        try
        {
            await (listed is null ? call : call.Into(listed)).StartAsync(Below, cancellationToken);
        }
        catch (BackendException)
        {
            await _link.WaitUntilAsync(_link.SendDown(ReplyHeaderSize), cancellationToken);
            throw;
        }

        long payload = call.Operation == BackendOperation.Read ? call.Length : 16L * (listed?.Count ?? 0);
        await _link.WaitUntilAsync(_link.SendDown(ReplyHeaderSize + payload), cancellationToken);
        for (int i = 0; i < (listed?.Count ?? 0); i++)
            call.Extents!.Add(listed![i]);
    }
}
