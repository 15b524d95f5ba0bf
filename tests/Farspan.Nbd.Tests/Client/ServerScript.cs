using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Tests.Client;

/// <summary>What a decent server would answer to options.</summary>
internal sealed record ServerScript
{
    public const NbdTransmissionFlags AllFlags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendTrim
        | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero | NbdTransmissionFlags.SendFua;

    public ulong Size { get; init; } = 1 << 20;

    public NbdTransmissionFlags Flags { get; init; } = AllFlags;

    public bool IsStructured { get; init; }

    public bool IsExtended { get; init; }

    public uint? Context { get; init; }

    public (uint Minimum, uint Preferred, uint Maximum)? Blocks { get; init; }

    public IEnumerable<byte[]> Answer(NbdOption option, byte[] data)
    {
        switch (option)
        {
            case NbdOption.StructuredReply when IsStructured:
            case NbdOption.ExtendedHeaders when IsExtended:
                yield return ServerBytes.Reply(option, NbdOptionReply.Ack);
                break;
            case NbdOption.SetMetaContext when Context is { } id:
                yield return ServerBytes.ContextReply(option, id, NbdConstants.BaseAllocation);
                yield return ServerBytes.Reply(option, NbdOptionReply.Ack);
                break;
            case NbdOption.Go or NbdOption.Info:
                yield return ServerBytes.ExportReply(option, Size, Flags);
                if (Blocks is { } b)
                    yield return ServerBytes.BlockReply(option, b.Minimum, b.Preferred, b.Maximum);
                yield return ServerBytes.Reply(option, NbdOptionReply.Ack);
                break;
            default:
                yield return ServerBytes.Reply(option, NbdOptionReply.ErrorUnsupported);
                break;
        }
    }
}
