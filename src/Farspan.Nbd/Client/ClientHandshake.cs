using System.Buffers.Binary;
using System.Text;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Transports;

namespace Farspan.Nbd.Client;

/// <summary>
/// The client's half of a negotiation: greeting, STARTTLS, the options, and the way into transmission. Speaks fixed newstyle, plain
/// newstyle (which knows EXPORT_NAME only) and the old style. Blocking; not thread-safe.
/// </summary>
internal sealed class ClientHandshake
{
    private const int MostStateMaps = 32;

    private readonly NbdTransport _transport;
    private readonly NbdClientOptions _options;
    private OptionChannel _channel;
    private ExportDescription? _oldStyle;
    private bool _isFixed;
    private bool _noZeroes;

    public ClientHandshake(NbdTransport transport, NbdClientOptions options)
    {
        _transport = transport;
        _options = options;
        _channel = new OptionChannel(transport.Stream);
    }

    /// <summary>Whether options other than EXPORT_NAME can be sent.</summary>
    public bool KnowsOptions => _oldStyle is null && _isFixed;

    /// <summary>The style in the words of the protocol.</summary>
    public string Style => _oldStyle is not null ? "oldstyle" : _isFixed ? "newstyle-fixed" : "newstyle";

    public bool StructuredReplies { get; private set; }

    public bool ExtendedHeaders { get; private set; }

    /// <summary>Goes all the way: afterwards the stream is in transmission.</summary>
    public static ExportDescription Enter(NbdTransport transport, NbdClientOptions options)
    {
        var handshake = new ClientHandshake(transport, options);
        handshake.Greet();
        if (!handshake.KnowsOptions)
            return handshake.EnterByName();
        handshake.AgreeOnReplies();
        var (allocation, maps) = handshake.SetContexts(options.ExportName, options.StateMaps);
        if (handshake.TryGo(NbdOption.Go, options.ExportName, [NbdInfo.BlockSize]) is { } answer)
        {
            return answer.Export with
            {
                StructuredReplies = handshake.StructuredReplies,
                ExtendedHeaders = handshake.ExtendedHeaders,
                AllocationContext = allocation,
                StateMaps = maps,
            };
        }

        return handshake.EnterByName() with { AllocationContext = allocation, StateMaps = maps };
    }

    /// <summary>Exchanges greetings and, where it was asked for, goes over to TLS.</summary>
    public void Greet()
    {
        Span<byte> magic = stackalloc byte[16];
        _channel.ReadExactly(magic);
        if (BinaryPrimitives.ReadUInt64BigEndian(magic) != NbdConstants.ServerMagic)
            throw NbdFailure.Protocol("what answers there is no NBD server");
        ulong style = BinaryPrimitives.ReadUInt64BigEndian(magic[8..]);
        if (style == NbdConstants.OldStyleMagic)
        {
            GreetOldStyle();
            return;
        }

        if (style != NbdConstants.OptionMagic)
            throw NbdFailure.Protocol($"its greeting has the unknown magic number 0x{style:x16}");
        Span<byte> flagBytes = stackalloc byte[4];
        _channel.ReadExactly(flagBytes[..2]);
        var flags = (NbdHandshakeFlags)BinaryPrimitives.ReadUInt16BigEndian(flagBytes);
        _isFixed = (flags & NbdHandshakeFlags.FixedNewstyle) != 0;
        _noZeroes = (flags & NbdHandshakeFlags.NoZeroes) != 0;
        var answer = (_isFixed ? NbdClientFlags.FixedNewstyle : 0) | (_noZeroes ? NbdClientFlags.NoZeroes : 0);
        BinaryPrimitives.WriteUInt32BigEndian(flagBytes, (uint)answer);
        _channel.Write(flagBytes);
        if (_options.Tls is not null)
            StartTls(_options.Tls);
    }

    /// <summary>Asks for extended headers, then for structured replies; a server without them answers in the plain form.</summary>
    public void AgreeOnReplies()
    {
        ExtendedHeaders = TryAgree(NbdOption.ExtendedHeaders);
        StructuredReplies = ExtendedHeaders || TryAgree(NbdOption.StructuredReply);
    }

    /// <summary>Asks to be told allocation, and the maps of states where they are wanted; what the server does not have is left out.</summary>
    public (uint? Allocation, IReadOnlyList<(string Name, uint Id)> StateMaps) SetContexts(string export, bool wantsStateMaps)
    {
        if (!StructuredReplies)
            return (null, []);
        var queries = new List<string> { NbdConstants.BaseAllocation };
        if (wantsStateMaps)
        {
            Context(NbdOption.ListMetaContext, export, [NbdConstants.StateMapPrefix], (_, name) =>
            {
                bool isMap = name.Length is > 10 and <= 74 && name.StartsWith(NbdConstants.StateMapPrefix, StringComparison.Ordinal);
                if (isMap && queries.Count <= MostStateMaps && !queries.Contains(name))
                    queries.Add(name);
            });
        }

        var told = new List<(string Name, uint Id)>();
        Context(NbdOption.SetMetaContext, export, [.. queries], (id, name) =>
        {
            if (!queries.Contains(name))
                throw NbdFailure.Protocol("it selected a metadata context that was not asked for");
            if (told.Exists(context => context.Name == name || context.Id == id))
                throw NbdFailure.Protocol("it selected a metadata context twice");
            told.Add((name, id));
        });
        return (
            told.Where(context => context.Name == NbdConstants.BaseAllocation).Select(context => (uint?)context.Id).FirstOrDefault(),
            [.. told.Where(context => context.Name != NbdConstants.BaseAllocation).Select(context => (context.Name[NbdConstants.StateMapPrefix.Length..], context.Id))]);
    }

    /// <summary>The names of the metadata contexts that the server has for an export.</summary>
    public IReadOnlyList<string> ListContexts(string export)
    {
        var names = new List<string>();
        if (StructuredReplies)
            Context(NbdOption.ListMetaContext, export, [], (_, name) => names.Add(name));
        return names;
    }

    /// <summary>Sends GO or INFO; null where the server does not know the option.</summary>
    /// <exception cref="BackendException">The server refused.</exception>
    public ExportAnswer? TryGo(NbdOption option, string export, ReadOnlySpan<NbdInfo> wanted)
    {
        byte[] name = Encoding.UTF8.GetBytes(export);
        byte[] data = new byte[ExportInfoRequest.SizeOf(name.Length, wanted.Length)];
        ExportInfoRequest.Write(data, name, wanted);
        _channel.Send(option, data);
        var answer = new ExportAnswer();
        while (true)
        {
            var (type, reply) = _channel.ReadReply(option);
            switch (type)
            {
                case NbdOptionReply.Ack:
                    _ = answer.Export;
                    return answer;
                case NbdOptionReply.Info:
                    answer.Add(reply);
                    break;
                case NbdOptionReply.ErrorUnsupported:
                    return null;
                default:
                    throw Unexpected($"The server refuses export '{export}'", option, type, reply);
            }
        }
    }

    /// <summary>The names and descriptions of the exports that the server lists.</summary>
    public IReadOnlyList<NbdExportDetails> List()
    {
        var exports = new List<NbdExportDetails>();
        _channel.Send(NbdOption.List, []);
        while (true)
        {
            var (type, reply) = _channel.ReadReply(NbdOption.List);
            if (type == NbdOptionReply.Ack)
                return exports;
            if (type != NbdOptionReply.Server)
                throw Unexpected("The server does not list its exports", NbdOption.List, type, reply);
            if (!ExportListing.TryRead(reply, out var listing))
                throw NbdFailure.Protocol("an entry of its list of exports is malformed");
            exports.Add(new NbdExportDetails
            {
                Name = OptionChannel.Text(listing.Name),
                Description = listing.Description.IsEmpty ? null : OptionChannel.Text(listing.Description),
            });
        }
    }

    /// <summary>Takes leave without entering transmission. The answer is of no interest.</summary>
    public void Abort()
    {
        if (KnowsOptions)
            _channel.Send(NbdOption.Abort, []);
    }

    /// <summary>Enters with EXPORT_NAME, or as the old style does, by itself.</summary>
    public ExportDescription EnterByName()
    {
        if (_oldStyle is not null)
            return _oldStyle;
        byte[] name = Encoding.UTF8.GetBytes(_options.ExportName);
        _channel.Send(NbdOption.ExportName, name);
        Span<byte> reply = stackalloc byte[ExportSummary.Size];
        try
        {
            _channel.ReadExactly(reply);
        }
        catch (BackendException error) when (error.Error == BackendError.Disconnected)
        {
            throw new BackendException(
                BackendError.NotFound, $"The server closed the connection when it was asked for export '{_options.ExportName}'; it seems not to have it.", error);
        }

        ExportSummary.TryRead(reply, out var summary);
        var export = ExportAnswer.Describe(summary);
        if (!_noZeroes)
            _channel.ReadExactly(stackalloc byte[NbdConstants.ExportNamePadding]);
        return export with { StructuredReplies = StructuredReplies, ExtendedHeaders = ExtendedHeaders };
    }

    private void GreetOldStyle()
    {
        if (_options.Tls is not null)
            throw new BackendException(BackendError.AccessDenied, "The server speaks the old style, which has no TLS, and TLS was asked for.");
        if (_options.ExportName.Length > 0)
            throw new BackendException(BackendError.NotFound, $"The server speaks the old style, which has one export without a name, not '{_options.ExportName}'.");
        Span<byte> rest = stackalloc byte[12];
        _channel.ReadExactly(rest);
        _oldStyle = ExportAnswer.Describe(new ExportSummary(
            BinaryPrimitives.ReadUInt64BigEndian(rest), (NbdTransmissionFlags)BinaryPrimitives.ReadUInt16BigEndian(rest[10..])));
        _channel.ReadExactly(stackalloc byte[NbdConstants.ExportNamePadding]);
    }

    private void StartTls(NbdTlsOptions tls)
    {
        if (!_isFixed)
            throw new BackendException(BackendError.AccessDenied, "The server speaks plain newstyle, which has no TLS, and TLS was asked for.");
        _channel.Send(NbdOption.StartTls, []);
        var (type, reply) = _channel.ReadReply(NbdOption.StartTls);
        if (type != NbdOptionReply.Ack)
        {
            if ((type & NbdOptionReply.Error) == 0)
                throw NbdFailure.Protocol($"its answer to StartTls has type {(uint)type}");
            throw new BackendException(
                BackendError.AccessDenied, $"The server offers no TLS, and TLS was asked for{NbdFailure.ServerText(reply)}.", isTransient: false);
        }

        var settings = new TlsClientSettings(tls.CertificateDirectory, tls.HostName, tls.VerifyPeer);
        _transport.Upgrade(TlsClient.Authenticate(_transport.Stream, settings, _options.Endpoint));
        _channel = new OptionChannel(_transport.Stream);
    }

    private bool TryAgree(NbdOption option)
    {
        _channel.Send(option, []);
        var (type, reply) = _channel.ReadReply(option);
        if (type == NbdOptionReply.Ack)
            return true;
        if ((type & NbdOptionReply.Error) == 0 || type == NbdOptionReply.ErrorTlsRequired)
            throw Unexpected("The server refuses to negotiate", option, type, reply);
        return false;
    }

    private void Context(NbdOption option, string export, ReadOnlySpan<string> queries, Action<uint, string> found)
    {
        byte[] exportName = Encoding.UTF8.GetBytes(export);
        byte[] data = new byte[MetaContextRequest.SizeOf(exportName, queries)];
        MetaContextRequest.Write(data, exportName, queries);
        _channel.Send(option, data);
        while (true)
        {
            var (type, reply) = _channel.ReadReply(option);
            if (type == NbdOptionReply.MetaContext)
            {
                if (!MetaContextReply.TryRead(reply, out var context))
                    throw NbdFailure.Protocol("a metadata context is malformed");
                found(context.Id, OptionChannel.Text(context.Name));
            }
            else if (type is NbdOptionReply.ErrorTlsRequired || (type & NbdOptionReply.Error) == 0 && type != NbdOptionReply.Ack)
            {
                throw Unexpected("The server refuses to negotiate", option, type, reply);
            }
            else
            {
                return;
            }
        }
    }

    private static BackendException Unexpected(string what, NbdOption option, NbdOptionReply type, byte[] reply)
        => (type & NbdOptionReply.Error) != 0
            ? OptionChannel.Refused(what, type, reply)
            : NbdFailure.Protocol($"its answer to {option} has type {(uint)type}");
}
