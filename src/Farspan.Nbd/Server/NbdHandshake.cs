using System.Buffers.Binary;
using Farspan.Nbd.Protocol;
using Farspan.Transports;

namespace Farspan.Nbd.Server;

/// <summary>
/// The option phase of one connection over its channel. It receives exactly what it needs and never more, so that bytes sent in plain text
/// behind STARTTLS can only reach the TLS handshake, which refuses them.
/// </summary>
internal sealed class NbdHandshake
{
    private readonly NbdServerOptions _options;
    private readonly ExportTable _exports;
    private readonly NbdServerTls? _tls;
    private readonly Func<ByteChannel> _upgradeToTls;
    private readonly Func<bool> _isStopping;
    private readonly OptionReplies _replies = new();
    private ByteChannel _channel;

    public NbdHandshake(
        ByteChannel channel, NbdServerOptions options, ExportTable exports, Func<bool> isStopping, Func<ByteChannel> upgradeToTls)
    {
        _channel = channel;
        _options = options;
        _exports = exports;
        _tls = options.Tls;
        _upgradeToTls = upgradeToTls;
        _isStopping = isStopping;
    }

    /// <summary>Negotiates until the client has chosen an export; null, and why, where it goes away or has to.</summary>
    /// <exception cref="IOException">The line or the TLS handshake failed.</exception>
    public OptionNegotiation? Run(out string? reason)
    {
        Span<byte> greeting = stackalloc byte[ServerGreeting.Size];
        new ServerGreeting(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes).Write(greeting);
        _channel.Send(greeting);
        Span<byte> flagBytes = stackalloc byte[ServerGreeting.ClientFlagsSize];
        if (!TryReceive(flagBytes))
            return Stop("it closed the connection", out reason);
        var flags = (NbdClientFlags)BinaryPrimitives.ReadUInt32BigEndian(flagBytes);
        if ((flags & ~(NbdClientFlags.FixedNewstyle | NbdClientFlags.NoZeroes)) != 0)
            return Stop("it set flags that nobody offered", out reason);
        var negotiation = new OptionNegotiation(_exports, _tls, flags);
        for (int count = 0; count < _options.MaximumOptions; count++)
        {
            if (!TryNext(negotiation, out var outcome, out reason))
                return null;
            switch (outcome)
            {
                case OptionOutcome.Transmit:
                    return negotiation;
                case OptionOutcome.Close:
                    return Stop("it aborted the negotiation, or asked for what has no answer", out reason);
                case OptionOutcome.StartTls:
                    _channel = _upgradeToTls();
                    negotiation.ResetForTls();
                    break;
                default:
                    break;
            }
        }

        return Stop("it sent too many options", out reason);
    }

    private static OptionNegotiation? Stop(string why, out string? reason)
    {
        reason = why;
        return null;
    }

    private bool TryNext(OptionNegotiation negotiation, out OptionOutcome outcome, out string? reason)
    {
        outcome = OptionOutcome.Close;
        reason = "it closed the connection";
        Span<byte> headerBytes = stackalloc byte[OptionHeader.Size];
        if (!TryReceive(headerBytes))
            return false;
        if (!OptionHeader.TryRead(headerBytes, out var header))
        {
            reason = "it sent what is no option";
            return false;
        }

        _replies.Clear();
        negotiation.ShuttingDown = _isStopping();
        if (header.Length > (uint)_options.MaximumOptionBytes)
        {
            if (header.Length > NbdServerOptions.LargestSkippedOption || header.Option == NbdOption.ExportName)
            {
                reason = "it sent an option that is too long";
                return false;
            }

            if (!TrySkip((int)header.Length))
                return false;
            outcome = negotiation.HandleTooLong(header.Option, _replies);
        }
        else
        {
            byte[] data = header.Length == 0 ? [] : new byte[header.Length];
            if (!TryReceive(data))
                return false;
            outcome = negotiation.Handle(header.Option, data, _replies);
        }

        if (_replies.Written.Length > 0)
            _channel.Send(_replies.Written);
        reason = null;
        return true;
    }

    private bool TryReceive(Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int count = _channel.Receive(destination);
            if (count == 0)
                return false;
            destination = destination[count..];
        }

        return true;
    }

    private bool TrySkip(int length)
    {
        byte[] scratch = new byte[Math.Min(length, 64 << 10)];
        while (length > 0)
        {
            int count = _channel.Receive(scratch.AsSpan(0, Math.Min(length, scratch.Length)));
            if (count == 0)
                return false;
            length -= count;
        }

        return true;
    }
}
