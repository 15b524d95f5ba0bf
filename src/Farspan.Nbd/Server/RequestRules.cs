using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Server;

/// <summary>Says whether a request is one that this export serves, and the error where it is not. Allocates nothing.</summary>
internal sealed class RequestRules
{
    private readonly ServedExport _export;
    private readonly HeaderMode _mode;
    private readonly NbdTransmissionFlags _flags;
    private readonly bool _hasContexts;
    private readonly uint _maximumRequest;

    public RequestRules(ServedExport export, HeaderMode mode, ulong contexts)
    {
        _export = export;
        _mode = mode;
        _hasContexts = contexts != 0;
        _flags = export.Flags(mode, _hasContexts);
        _maximumRequest = export.Sizes.Maximum;
    }

    /// <summary>The bytes that follow the header on the wire, whatever becomes of the request.</summary>
    public ulong PayloadLength(in RequestHeader request)
    {
        bool hasPayload = _mode == HeaderMode.Extended
            ? (request.Flags & NbdCommandFlags.PayloadLength) != 0
            : request.Command == NbdCommand.Write;
        return hasPayload ? request.Length : 0;
    }

    /// <summary>Null where the request may be carried out.</summary>
    public Fault? Check(in RequestHeader request)
    {
        if (CheckCommand(request) is { } notServed)
            return notServed;
        if (request.Command == NbdCommand.Flush)
        {
            return request.Offset == 0 && request.Length == 0
                ? null
                : new Fault(NbdErrno.Inval, "a flush has neither offset nor length");
        }

        if (request.Command == NbdCommand.BlockStatus && (request.Flags & NbdCommandFlags.PayloadLength) != 0)
            return null;
        return CheckRange(request, request.Length);
    }

    /// <summary>The rules for the range alone; <paramref name="length"/> may come from a payload.</summary>
    public Fault? CheckRange(in RequestHeader request, ulong length)
    {
        bool transfers = request.Command is NbdCommand.Read or NbdCommand.Write;
        if (transfers && length > _maximumRequest)
        {
            bool unfragmented = request.Command == NbdCommand.Read && (request.Flags & NbdCommandFlags.Df) != 0;
            return new Fault(unfragmented ? NbdErrno.Overflow : NbdErrno.Inval, "the request is longer than the advertised maximum");
        }

        ulong size = (ulong)_export.Length;
        if (request.Offset > size || length > size - request.Offset)
        {
            bool writes = request.Command is NbdCommand.Write or NbdCommand.WriteZeroes;
            return new Fault(writes ? NbdErrno.NoSpc : NbdErrno.Inval, "the range ends past the end of the export");
        }

        if (request.Command == NbdCommand.BlockStatus)
            return length == 0 ? new Fault(NbdErrno.Inval, "a block status needs a length") : null;
        ulong mask = (ulong)_export.BlockSizes.Minimum - 1;
        return ((request.Offset | length) & mask) != 0
            ? new Fault(NbdErrno.Inval, "the range is not aligned to the minimum block size")
            : null;
    }

    private Fault? CheckCommand(in RequestHeader request)
    {
        var allowed = NbdCommandFlags.Fua;
        var needs = NbdTransmissionFlags.None;
        bool writes = false;
        switch (request.Command)
        {
            case NbdCommand.Read:
                if ((_flags & NbdTransmissionFlags.SendDf) != 0)
                    allowed |= NbdCommandFlags.Df;
                break;
            case NbdCommand.Write:
                writes = true;
                if (_mode == HeaderMode.Extended)
                {
                    allowed |= NbdCommandFlags.PayloadLength;
                    if ((request.Flags & NbdCommandFlags.PayloadLength) == 0)
                        return new Fault(NbdErrno.Inval, "a write with extended headers needs the payload flag");
                }

                break;
            case NbdCommand.Flush:
                break;
            case NbdCommand.Trim:
                writes = true;
                needs = NbdTransmissionFlags.SendTrim;
                break;
            case NbdCommand.Cache:
                needs = NbdTransmissionFlags.SendCache;
                break;
            case NbdCommand.WriteZeroes:
                writes = true;
                needs = NbdTransmissionFlags.SendWriteZeroes;
                allowed |= NbdCommandFlags.NoHole;
                if ((_flags & NbdTransmissionFlags.SendFastZero) != 0)
                    allowed |= NbdCommandFlags.FastZero;
                break;
            case NbdCommand.BlockStatus:
                if (!_hasContexts)
                    return new Fault(NbdErrno.Inval, "no metadata context was selected");
                allowed |= NbdCommandFlags.ReqOne;
                if ((_flags & NbdTransmissionFlags.BlockStatusPayload) != 0)
                    allowed |= NbdCommandFlags.PayloadLength;
                break;
            default:
                return new Fault(NbdErrno.Inval, "the command is not known");
        }

        if (writes && _export.ReadOnly)
            return new Fault(NbdErrno.Perm, "the export is read-only");
        if ((_flags & needs) != needs)
            return new Fault(NbdErrno.Inval, "the command is not offered");
        return (request.Flags & ~allowed) != 0 ? new Fault(NbdErrno.Inval, "the command does not take these flags") : null;
    }
}
