using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Farspan.Nbd.Protocol;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A client that sends exactly what a test says and reads exactly what comes, by blocking calls with a time-out.</summary>
internal sealed class ScriptedClient : IDisposable
{
    private readonly Dictionary<ulong, ScriptedReply> _open = [];
    private ulong _cookie = 0x1000;

    public ScriptedClient(Stream stream)
    {
        Stream = stream;
        if (stream is NetworkStream network)
            network.ReadTimeout = network.WriteTimeout = 20_000;
    }

    public Stream Stream { get; set; }

    public HeaderForm Form { get; set; }

    public void Dispose() => Stream.Dispose();

    public void Send(params ReadOnlySpan<byte> bytes)
    {
        Stream.Write(bytes);
        Stream.Flush();
    }

    public byte[] Receive(int length)
    {
        byte[] bytes = new byte[length];
        Stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Asserts that the server has closed the connection and sends nothing more.</summary>
    public void AssertClosed()
    {
        try
        {
            Assert.Equal(-1, Stream.ReadByte());
        }
        catch (IOException error) when (error.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            // Closed with bytes of ours unread.
        }
    }

    /// <summary>Reads the greeting and answers with flags.</summary>
    public void Greet(NbdClientFlags flags = NbdClientFlags.FixedNewstyle | NbdClientFlags.NoZeroes)
    {
        Assert.True(ServerGreeting.TryRead(Receive(ServerGreeting.Size), out var greeting));
        Assert.Equal(NbdHandshakeFlags.FixedNewstyle | NbdHandshakeFlags.NoZeroes, greeting.Flags);
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)flags);
        Send(bytes);
    }

    public void SendOption(NbdOption option, params ReadOnlySpan<byte> data) => Send(OptionBytes(option, data));

    public static byte[] OptionBytes(NbdOption option, params ReadOnlySpan<byte> data)
    {
        byte[] bytes = new byte[OptionHeader.Size + data.Length];
        new OptionHeader(option, (uint)data.Length).Write(bytes);
        data.CopyTo(bytes.AsSpan(OptionHeader.Size));
        return bytes;
    }

    public (NbdOptionReply Type, byte[] Data) ReadOptionReply(NbdOption option)
    {
        Assert.True(OptionReplyHeader.TryRead(Receive(OptionReplyHeader.Size), out var header));
        Assert.Equal(option, header.Option);
        return (header.Type, Receive((int)header.Length));
    }

    /// <summary>Sends an option and reads its one reply.</summary>
    public NbdOptionReply Option(NbdOption option, params ReadOnlySpan<byte> data)
    {
        SendOption(option, data);
        var type = ReadOptionReply(option).Type;
        if (type == NbdOptionReply.Ack && option == NbdOption.StructuredReply)
            Form = HeaderForm.Structured;
        else if (type == NbdOptionReply.Ack && option == NbdOption.ExtendedHeaders)
            Form = HeaderForm.Extended;
        return type;
    }

    public static byte[] InfoData(string name, params ReadOnlySpan<NbdInfo> requests)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name);
        byte[] data = new byte[ExportInfoRequest.SizeOf(nameBytes.Length, requests.Length)];
        ExportInfoRequest.Write(data, nameBytes, requests);
        return data;
    }

    public static byte[] ContextData(string name, params ReadOnlySpan<string> queries)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name);
        byte[] data = new byte[MetaContextRequest.SizeOf(nameBytes, queries)];
        MetaContextRequest.Write(data, nameBytes, queries);
        return data;
    }

    /// <summary>Sends INFO or GO and reads its replies to the last one.</summary>
    public (NbdOptionReply Last, Dictionary<NbdInfo, byte[]> Infos) InfoOrGo(NbdOption option, string name, params ReadOnlySpan<NbdInfo> requests)
    {
        SendOption(option, InfoData(name, requests));
        var infos = new Dictionary<NbdInfo, byte[]>();
        while (true)
        {
            var (type, data) = ReadOptionReply(option);
            if (type != NbdOptionReply.Info)
                return (type, infos);
            infos.Add((NbdInfo)BinaryPrimitives.ReadUInt16BigEndian(data), data[2..]);
        }
    }

    /// <summary>Negotiates a form of headers, base:allocation where asked for, and an export; returns its summary.</summary>
    public ExportSummary Go(HeaderForm form = HeaderForm.Structured, string name = "", bool contexts = false)
        => Go(form, name, contexts ? ["base:allocation"] : [], out _);

    /// <summary>Negotiates a form of headers, contexts, each of which must be selected, and an export; returns its summary.</summary>
    public ExportSummary Go(HeaderForm form, string name, string[] contexts, out uint[] contextIds)
    {
        Greet();
        if (form == HeaderForm.Structured)
            Assert.Equal(NbdOptionReply.Ack, Option(NbdOption.StructuredReply));
        if (form == HeaderForm.Extended)
            Assert.Equal(NbdOptionReply.Ack, Option(NbdOption.ExtendedHeaders));
        contextIds = new uint[contexts.Length];
        if (contexts.Length > 0)
        {
            SendOption(NbdOption.SetMetaContext, ContextData(name, contexts));
            for (int i = 0; i < contexts.Length; i++)
            {
                var (type, data) = ReadOptionReply(NbdOption.SetMetaContext);
                Assert.Equal(NbdOptionReply.MetaContext, type);
                Assert.True(MetaContextReply.TryRead(data, out var context));
                contextIds[Array.IndexOf(contexts, Encoding.UTF8.GetString(context.Name))] = context.Id;
            }

            Assert.Equal(NbdOptionReply.Ack, ReadOptionReply(NbdOption.SetMetaContext).Type);
        }

        var (last, infos) = InfoOrGo(NbdOption.Go, name, NbdInfo.BlockSize);
        Assert.Equal(NbdOptionReply.Ack, last);
        Assert.True(ExportSummary.TryRead(infos[NbdInfo.Export], out var summary));
        return summary;
    }

    public byte[] RequestBytes(
        NbdCommand command, ulong offset, ulong length, ReadOnlySpan<byte> payload = default, NbdCommandFlags flags = 0, ulong? cookie = null)
    {
        bool extended = Form == HeaderForm.Extended;
        if (extended && command == NbdCommand.Write)
            flags |= NbdCommandFlags.PayloadLength;
        int size = extended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize;
        byte[] bytes = new byte[size + payload.Length];
        new RequestHeader(flags, command, cookie ?? ++_cookie, offset, length).Write(bytes, extended);
        payload.CopyTo(bytes.AsSpan(size));
        return bytes;
    }

    /// <summary>Sends a request and returns its cookie.</summary>
    public ulong SendRequest(NbdCommand command, ulong offset, ulong length, ReadOnlySpan<byte> payload = default, NbdCommandFlags flags = 0)
    {
        Send(RequestBytes(command, offset, length, payload, flags));
        return _cookie;
    }

    /// <summary>Sends a request and reads its reply.</summary>
    public ScriptedReply Request(NbdCommand command, ulong offset, ulong length, ReadOnlySpan<byte> payload = default, NbdCommandFlags flags = 0)
    {
        ulong cookie = SendRequest(command, offset, length, payload, flags);
        var reply = ReadReply(_ => command == NbdCommand.Read ? (int)length : 0);
        Assert.Equal(cookie, reply.Cookie);
        if (Form == HeaderForm.Extended)
            Assert.Equal(offset, reply.Offset);
        return reply;
    }

    public NbdErrno Read(ulong offset, int length, out byte[] data)
    {
        var reply = Request(NbdCommand.Read, offset, (ulong)length);
        data = reply.Data(offset, length);
        return reply.Error;
    }

    public NbdErrno Write(ulong offset, ReadOnlySpan<byte> data, NbdCommandFlags flags = 0)
        => Request(NbdCommand.Write, offset, (ulong)data.Length, data, flags).Error;

    /// <summary>Reads one whole reply. A simple reply to a successful read has as many bytes as <paramref name="readLength"/> says for its cookie.</summary>
    public ScriptedReply ReadReply(Func<ulong, int>? readLength = null)
    {
        var reply = new ScriptedReply();
        do
            ReadMessage(reply, readLength ?? (_ => 0));
        while (!reply.IsDone);
        return reply;
    }

    /// <summary>Reads one whole reply of several in flight, whose chunks may come between each other's.</summary>
    public ScriptedReply ReadReplyOfMany(Func<ulong, int>? readLength = null)
    {
        while (true)
        {
            var reply = ReadMessageInto(_open, readLength ?? (_ => 0));
            if (reply.IsDone)
            {
                _open.Remove(reply.Cookie);
                return reply;
            }
        }
    }

    /// <summary>Reads one message, a whole simple reply or a chunk, and adds it to the reply that it belongs to.</summary>
    public ScriptedReply ReadMessageInto(Dictionary<ulong, ScriptedReply> open, Func<ulong, int> readLength)
    {
        var message = new ScriptedReply();
        ReadMessage(readLength, cookie => open.TryGetValue(cookie, out var known) ? known : open[cookie] = message, out var target);
        return target;
    }

    private void ReadMessage(ScriptedReply reply, Func<ulong, int> readLength)
        => ReadMessage(readLength, _ => reply, out _);

    private void ReadMessage(Func<ulong, int> readLength, Func<ulong, ScriptedReply> find, out ScriptedReply reply)
    {
        byte[] magic = Receive(4);
        uint value = BinaryPrimitives.ReadUInt32BigEndian(magic);
        if (value == NbdConstants.SimpleReplyMagic)
        {
            Assert.NotEqual(HeaderForm.Extended, Form);
            Assert.True(SimpleReplyHeader.TryRead([.. magic, .. Receive(SimpleReplyHeader.Size - 4)], out var simple));
            reply = find(simple.Cookie);
            Assert.Equal(0, reply.ChunkCount);
            reply.Add(simple, simple.Error == NbdErrno.Ok && Form == HeaderForm.Simple ? Receive(readLength(simple.Cookie)) : []);
            return;
        }

        Assert.NotEqual(HeaderForm.Simple, Form);
        bool extended = Form == HeaderForm.Extended;
        int size = extended ? ChunkHeader.ExtendedSize : ChunkHeader.StructuredSize;
        Assert.True(ChunkHeader.TryRead([.. magic, .. Receive(size - 4)], extended, out var header), $"magic {value:x}");
        Assert.InRange(header.Length, 0UL, 1UL << 30);
        reply = find(header.Cookie);
        reply.Add(header, Receive((int)header.Length), extended);
    }
}
