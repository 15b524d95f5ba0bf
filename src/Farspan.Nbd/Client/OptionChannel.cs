using System.Buffers.Binary;
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

    /// <summary>Reads a string with its length before it, and moves past it.</summary>
    public static string TakeString(ref ReadOnlySpan<byte> data)
    {
        if (data.Length < 4 || BinaryPrimitives.ReadUInt32BigEndian(data) is var length && length > data.Length - 4)
            throw NbdFailure.Protocol("a string is longer than the message that holds it");
        string text = Encoding.UTF8.GetString(data.Slice(4, (int)length));
        data = data[(4 + (int)length)..];
        return text;
    }

    /// <summary>Appends a string with its length before it.</summary>
    public static void PutString(List<byte> data, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        PutUInt32(data, (uint)utf8.Length);
        data.AddRange(utf8);
    }

    public static void PutUInt32(List<byte> data, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        data.AddRange(bytes);
    }

    public static void PutUInt16(List<byte> data, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        data.AddRange(bytes);
    }
}
