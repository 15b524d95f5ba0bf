using System.Buffers.Binary;
using System.Numerics;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>Gathers the information replies to GO or INFO: two bytes of type, then what belongs to it.</summary>
internal sealed class ExportAnswer
{
    private ExportDescription? _export;
    private (int Minimum, int Preferred, uint Maximum)? _blocks;

    public string? Text { get; private set; }

    /// <summary>Whether the server told its block sizes.</summary>
    public bool HasBlockSizes => _blocks is not null;

    /// <summary>What was gathered.</summary>
    /// <exception cref="Backends.BackendException">The server did not say how large the export is.</exception>
    public ExportDescription Export
    {
        get
        {
            var export = _export ?? throw NbdFailure.Protocol("it agreed to an export without saying its size");
            return _blocks is { } b ? export with { MinimumBlock = b.Minimum, PreferredBlock = b.Preferred, MaximumBlock = b.Maximum } : export;
        }
    }

    public void Add(ReadOnlySpan<byte> data)
    {
        if (data.Length < 2)
            throw NbdFailure.Protocol("an information reply is shorter than its type");
        var type = (NbdInfo)BinaryPrimitives.ReadUInt16BigEndian(data);
        data = data[2..];
        switch (type)
        {
            case NbdInfo.Export:
                if (data.Length != ExportSummary.Size || !ExportSummary.TryRead(data, out var summary))
                    throw WrongLength(type, data, ExportSummary.Size);
                _export = Describe(summary);
                break;
            case NbdInfo.Description:
                Text = OptionChannel.Text(data);
                break;
            case NbdInfo.BlockSize:
                if (data.Length != BlockSizeInfo.Size || !BlockSizeInfo.TryRead(data, out var blocks))
                    throw WrongLength(type, data, BlockSizeInfo.Size);
                _blocks = CheckBlocks(blocks);
                break;
            default:
                break;
        }
    }

    /// <summary>The export's size and flags from the wire.</summary>
    /// <exception cref="Backends.BackendException">The size does not fit 63 bits.</exception>
    public static ExportDescription Describe(ExportSummary summary)
    {
        if (summary.ExportSize > long.MaxValue)
            throw NbdFailure.Protocol($"it says that the export has {summary.ExportSize} bytes, more than 2^63 - 1");

        // Without HAS_FLAGS the other flags mean nothing.
        return new ExportDescription
        {
            Size = (long)summary.ExportSize,
            Flags = (summary.Flags & NbdTransmissionFlags.HasFlags) != 0 ? summary.Flags : NbdTransmissionFlags.None,
        };
    }

    private static (int Minimum, int Preferred, uint Maximum) CheckBlocks(BlockSizeInfo blocks)
    {
        var (minimum, preferred, maximum) = blocks;
        if (!BitOperations.IsPow2(minimum) || minimum > 64 << 10)
            throw NbdFailure.Protocol($"its minimum block size, {minimum}, is no power of two up to 64 KiB");
        if (maximum < minimum)
            throw NbdFailure.Protocol($"its maximum block size, {maximum}, is less than its minimum, {minimum}");
        bool usable = BitOperations.IsPow2(preferred) && preferred >= Math.Max(512, minimum) && preferred <= 32 << 20;
        return ((int)minimum, usable ? (int)preferred : Math.Max(4096, (int)minimum), maximum);
    }

    private static Backends.BackendException WrongLength(NbdInfo type, ReadOnlySpan<byte> data, int length)
        => NbdFailure.Protocol($"its {type} information has {data.Length} bytes in place of {length}");
}
