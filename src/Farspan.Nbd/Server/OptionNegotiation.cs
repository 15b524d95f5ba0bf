using System.Buffers.Binary;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>
/// The state of one client's option phase: takes options, gives replies, does no IO. What is negotiated here does not outlive
/// <see cref="ResetForTls"/>, so that nothing said in plain text counts after STARTTLS (CVE-2021-3716).
/// </summary>
internal sealed class OptionNegotiation
{
    private readonly ExportTable _exports;
    private readonly NbdServerTls? _tls;
    private readonly bool _noZeroes;
    private ServedExport? _contextExport;
    private ulong _contexts;

    public OptionNegotiation(ExportTable exports, NbdServerTls? tls, NbdClientFlags clientFlags)
    {
        _exports = exports;
        _tls = (clientFlags & NbdClientFlags.FixedNewstyle) != 0 ? tls : null;
        _noZeroes = (clientFlags & NbdClientFlags.NoZeroes) != 0;
        RefusesPlainText = tls is { Required: true } && _tls is null;
    }

    /// <summary>Whether the client can only be turned away: TLS is required and it does not speak the style that has STARTTLS.</summary>
    public bool RefusesPlainText { get; }

    public bool TlsActive { get; private set; }

    public HeaderMode Mode { get; private set; }

    /// <summary>The export that the client chose; set when the outcome is <see cref="OptionOutcome.Transmit"/>.</summary>
    public ServedExport? Chosen { get; private set; }

    /// <summary>The contexts that the client selected for the export that it chose, as a mask.</summary>
    public ulong Contexts => Chosen is not null && ReferenceEquals(_contextExport, Chosen) ? _contexts : 0;

    /// <summary>Set when the server stops: every option but ABORT is then refused.</summary>
    public bool ShuttingDown { get; set; }

    public void ResetForTls()
    {
        TlsActive = true;
        Mode = HeaderMode.Simple;
        _contextExport = null;
    }

    /// <summary>Handles an option; <paramref name="replies"/> gets what is to be sent.</summary>
    public OptionOutcome Handle(NbdOption option, ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (HandleByPolicy(option, replies) is { } outcome)
            return outcome;
        return option switch
        {
            NbdOption.ExportName => ExportName(data, replies),
            NbdOption.StartTls => StartTls(data, replies),
            NbdOption.List => List(data, replies),
            NbdOption.Info or NbdOption.Go => InfoOrGo(option, data, replies),
            NbdOption.StructuredReply => StructuredReply(data, replies),
            NbdOption.ListMetaContext or NbdOption.SetMetaContext => MetaContext(option, data, replies),
            NbdOption.ExtendedHeaders => ExtendedHeaders(data, replies),
            _ => Refuse(replies, option, NbdOptionReply.ErrorUnsupported, $"option {(uint)option} is not known"),
        };
    }

    /// <summary>Handles an option whose data were too long to be kept.</summary>
    public OptionOutcome HandleTooLong(NbdOption option, OptionReplies replies)
    {
        if (HandleByPolicy(option, replies) is { } outcome)
            return outcome;
        if (option == NbdOption.SetMetaContext)
            _contextExport = null;
        return Enum.IsDefined(option)
            ? Refuse(replies, option, NbdOptionReply.ErrorTooBig, "the option's data are too long")
            : Refuse(replies, option, NbdOptionReply.ErrorUnsupported, $"option {(uint)option} is not known");
    }

    /// <summary>What is decided without a look at the data.</summary>
    private OptionOutcome? HandleByPolicy(NbdOption option, OptionReplies replies)
    {
        if (option == NbdOption.Abort)
        {
            replies.Acknowledge(option);
            return OptionOutcome.Close;
        }

        bool tlsMissing = _tls is { Required: true } && !TlsActive;
        if (RefusesPlainText || (option == NbdOption.ExportName && (ShuttingDown || tlsMissing)))
            return OptionOutcome.Close;
        if (ShuttingDown)
            return Refuse(replies, option, NbdOptionReply.ErrorShutdown, "the server is stopping");
        if (tlsMissing && option != NbdOption.StartTls)
            return Refuse(replies, option, NbdOptionReply.ErrorTlsRequired, "start TLS first");
        return null;
    }

    private static OptionOutcome Refuse(OptionReplies replies, NbdOption option, NbdOptionReply error, string message)
    {
        replies.Refuse(option, error, message);
        return OptionOutcome.Continue;
    }

    private static OptionOutcome RefuseData(OptionReplies replies, NbdOption option)
        => Refuse(replies, option, NbdOptionReply.ErrorInvalid, "the option takes no data");

    /// <summary>EXPORT_NAME has no error reply: what cannot be served closes the connection.</summary>
    private OptionOutcome ExportName(ReadOnlySpan<byte> name, OptionReplies replies)
    {
        if (Mode == HeaderMode.Extended || _exports.Find(name) is not { } export)
            return OptionOutcome.Close;
        Chosen = export;
        var reply = replies.AddBare(ExportSummary.Size + (_noZeroes ? 0 : NbdConstants.ExportNamePadding));
        new ExportSummary((ulong)export.Length, export.Flags(Mode, Contexts != 0)).Write(reply);
        return OptionOutcome.Transmit;
    }

    private OptionOutcome StartTls(ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (data.Length > 0)
            return RefuseData(replies, NbdOption.StartTls);
        if (TlsActive)
            return Refuse(replies, NbdOption.StartTls, NbdOptionReply.ErrorInvalid, "TLS is already active");
        if (_tls is null)
            return Refuse(replies, NbdOption.StartTls, NbdOptionReply.ErrorPolicy, "this server offers no TLS");
        replies.Acknowledge(NbdOption.StartTls);
        return OptionOutcome.StartTls;
    }

    private OptionOutcome List(ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (data.Length > 0)
            return RefuseData(replies, NbdOption.List);
        foreach (var export in _exports.All)
        {
            int length = ExportListing.FixedSize + export.NameBytes.Length + export.DescriptionBytes.Length;
            ExportListing.Write(replies.Add(NbdOption.List, NbdOptionReply.Server, length), export.NameBytes, export.DescriptionBytes);
        }

        replies.Acknowledge(NbdOption.List);
        return OptionOutcome.Continue;
    }

    private OptionOutcome InfoOrGo(NbdOption option, ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (!ExportInfoRequest.TryRead(data, out var request))
            return Refuse(replies, option, NbdOptionReply.ErrorInvalid, "the lengths in the option do not add up");
        if (_exports.Find(request.Name) is not { } export)
            return Refuse(replies, option, NbdOptionReply.ErrorUnknown, "no such export");
        bool asksSizes = request.Asks(NbdInfo.BlockSize);
        bool sizesUnknown = export.BlockSizes.Minimum > 1 && !asksSizes;
        if (asksSizes || sizesUnknown)
            export.Sizes.Write(AddInfo(replies, option, NbdInfo.BlockSize, BlockSizeInfo.Size));
        if (sizesUnknown && option == NbdOption.Go)
            return Refuse(replies, option, NbdOptionReply.ErrorBlockSizeRequired, "ask for the block sizes, which are not the usual ones");
        bool hasContexts = ReferenceEquals(_contextExport, export);
        new ExportSummary((ulong)export.Length, export.Flags(Mode, hasContexts)).Write(
            AddInfo(replies, option, NbdInfo.Export, ExportSummary.Size));
        if (request.Asks(NbdInfo.Name))
            export.NameBytes.CopyTo(AddInfo(replies, option, NbdInfo.Name, export.NameBytes.Length));
        if (request.Asks(NbdInfo.Description))
            export.DescriptionBytes.CopyTo(AddInfo(replies, option, NbdInfo.Description, export.DescriptionBytes.Length));
        replies.Acknowledge(option);
        if (option == NbdOption.Info)
            return OptionOutcome.Continue;
        Chosen = export;
        return OptionOutcome.Transmit;
    }

    private static Span<byte> AddInfo(OptionReplies replies, NbdOption option, NbdInfo info, int length)
    {
        var data = replies.Add(option, NbdOptionReply.Info, sizeof(ushort) + length);
        BinaryPrimitives.WriteUInt16BigEndian(data, (ushort)info);
        return data[sizeof(ushort)..];
    }

    private OptionOutcome StructuredReply(ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (data.Length > 0)
            return RefuseData(replies, NbdOption.StructuredReply);
        if (Mode == HeaderMode.Extended)
            return Refuse(replies, NbdOption.StructuredReply, NbdOptionReply.ErrorExtendedHeadersRequired, "extended headers are already agreed");
        Mode = HeaderMode.Structured;
        replies.Acknowledge(NbdOption.StructuredReply);
        return OptionOutcome.Continue;
    }

    private OptionOutcome ExtendedHeaders(ReadOnlySpan<byte> data, OptionReplies replies)
    {
        if (data.Length > 0)
            return RefuseData(replies, NbdOption.ExtendedHeaders);
        Mode = HeaderMode.Extended;
        replies.Acknowledge(NbdOption.ExtendedHeaders);
        return OptionOutcome.Continue;
    }

    private OptionOutcome MetaContext(NbdOption option, ReadOnlySpan<byte> data, OptionReplies replies)
    {
        bool sets = option == NbdOption.SetMetaContext;
        if (sets)
            _contextExport = null;
        if (Mode == HeaderMode.Simple)
            return Refuse(replies, option, NbdOptionReply.ErrorInvalid, "negotiate structured replies first");
        if (!MetaContextRequest.TryRead(data, out var request))
            return Refuse(replies, option, NbdOptionReply.ErrorInvalid, "the lengths in the option do not add up");
        if (_exports.Find(request.Name) is not { } export)
            return Refuse(replies, option, NbdOptionReply.ErrorUnknown, "no such export");
        ulong selected = 0;
        foreach (var context in export.Contexts)
        {
            if (!Selects(request, context, wildcard: !sets))
                continue;
            selected |= context.Bit;
            int length = MetaContextReply.FixedSize + context.NameBytes.Length;
            MetaContextReply.Write(replies.Add(option, NbdOptionReply.MetaContext, length), sets ? context.Id : 0, context.NameBytes);
        }

        if (sets && selected != 0)
        {
            _contextExport = export;
            _contexts = selected;
        }

        replies.Acknowledge(option);
        return OptionOutcome.Continue;
    }

    /// <summary>Whether a query names the context. When listing, no query at all and the wildcard do too.</summary>
    private static bool Selects(in MetaContextRequest request, ServedContext context, bool wildcard)
    {
        if (request.QueryCount == 0)
            return wildcard;
        var queries = request.Queries;
        while (NbdFields.TryTakeText(ref queries, out var query))
        {
            if (context.IsNamedBy(query, wildcard))
                return true;
        }

        return false;
    }
}
