using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// The option phase of a negotiation: sends an option, reads its replies. It never reads further than a message goes, so that nothing
/// from before STARTTLS is taken for what comes after. Blocking; the owner of the stream ends a wait by closing it.
/// </summary>
internal sealed class OptionChannel(Stream stream)
{
    /// <summary>The most data that is taken with one reply: type, size and two strings of full length fit.</summary>
    public const int MaximumReplyLength = 16 << 10;

    /// <summary>The most replies that one option may have.</summary>
    public const int MaximumReplies = 10_000;

    private int _replies;

    public void ReadExactly(Span<byte> destination)
    {
        try
        {
            stream.ReadExactly(destination);
        }
        catch (EndOfStreamException error)
        {
            throw new BackendException(BackendError.Disconnected, "The NBD server closed the connection during negotiation.", error);
        }
    }

    public void Write(ReadOnlySpan<byte> message) => stream.Write(message);

    public void Send(NbdOption option, ReadOnlySpan<byte> data)
    {
        byte[] message = new byte[OptionHeader.Size + data.Length];
        new OptionHeader(option, (uint)data.Length).Write(message);
        data.CopyTo(message.AsSpan(OptionHeader.Size));
        Write(message);
        _replies = 0;
    }

    /// <summary>Reads the next reply to <paramref name="option"/>.</summary>
    /// <exception cref="BackendException">It is no reply to that option, is too long, or one too many.</exception>
    public (NbdOptionReply Type, byte[] Data) ReadReply(NbdOption option)
    {
        Span<byte> bytes = stackalloc byte[OptionReplyHeader.Size];
        ReadExactly(bytes);
        if (!OptionReplyHeader.TryRead(bytes, out var header))
            throw NbdFailure.Protocol("a reply to an option has a wrong magic number");
        if (header.Option != option)
            throw NbdFailure.Protocol($"it answered option {(uint)header.Option} where {option} was asked");
        if (header.Length > MaximumReplyLength)
            throw NbdFailure.Protocol($"its answer to {option} is {header.Length} bytes long, more than {MaximumReplyLength}");
        if (++_replies > MaximumReplies)
            throw NbdFailure.Protocol($"it gave more than {MaximumReplies} answers to {option}");
        byte[] data = new byte[header.Length];
        ReadExactly(data);
        return (header.Type, data);
    }

    /// <summary>A string from the wire.</summary>
    /// <exception cref="BackendException">It is longer than the protocol allows, holds a NUL or is no UTF-8.</exception>
    public static string Text(ReadOnlySpan<byte> utf8)
        => NbdText.IsValid(utf8) ? Encoding.UTF8.GetString(utf8) : throw NbdFailure.Protocol("it sent a string that is none");

    /// <summary>The exception for an option that was refused; <paramref name="what"/> starts the sentence.</summary>
    public static BackendException Refused(string what, NbdOptionReply type, ReadOnlySpan<byte> text)
    {
        string reason = type switch
        {
            NbdOptionReply.ErrorTlsRequired => "it requires TLS; use nbds:// or nbds+unix://",
            NbdOptionReply.ErrorUnknown => "there is no such export; 'farspan info' lists them",
            NbdOptionReply.ErrorPolicy => "its policy forbids it",
            NbdOptionReply.ErrorUnsupported => "it does not know this option",
            NbdOptionReply.ErrorInvalid => "it finds the option invalid",
            NbdOptionReply.ErrorTooBig => "it finds the option too big",
            NbdOptionReply.ErrorShutdown => "it is shutting down",
            NbdOptionReply.ErrorBlockSizeRequired => "it requires that its block sizes are kept",
            NbdOptionReply.ErrorPlatform => "its platform or build does not support it",
            _ => $"error 0x{(uint)type:x8}",
        };
        return new BackendException(NbdFailure.FromOptionReply(type), $"{what}: {reason}{NbdFailure.ServerText(text)}.", isTransient: type == NbdOptionReply.ErrorShutdown);
    }
}
