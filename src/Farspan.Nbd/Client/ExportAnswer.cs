using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// Gathers the information replies to GO or INFO, each of which starts with two bytes of type.
/// <code>
/// EXPORT       2  8  size          10  2  transmission flags
/// NAME         2  …  text
/// DESCRIPTION  2  …  text
/// BLOCK_SIZE   2  4  minimum        6  4  preferred            10  4  maximum
/// </code>
/// </summary>
internal sealed class ExportAnswer
{
    private ExportDescription? _export;
    private (int Minimum, int Preferred, uint Maximum)? _blocks;

    public string? Name { get; private set; }

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
        switch (type)
        {
            case NbdInfo.Export:
                Require(type, data, 12);
                _export = Describe(BinaryPrimitives.ReadUInt64BigEndian(data[2..]), BinaryPrimitives.ReadUInt16BigEndian(data[10..]));
                break;
            case NbdInfo.Name:
                Name = Encoding.UTF8.GetString(data[2..]);
                break;
            case NbdInfo.Description:
                Text = Encoding.UTF8.GetString(data[2..]);
                break;
            case NbdInfo.BlockSize:
                Require(type, data, 14);
                _blocks = CheckBlocks(
                    BinaryPrimitives.ReadUInt32BigEndian(data[2..]),
                    BinaryPrimitives.ReadUInt32BigEndian(data[6..]),
                    BinaryPrimitives.ReadUInt32BigEndian(data[10..]));
                break;
            default:
                break;
        }
    }

    /// <summary>The export's size and flags from the wire.</summary>
    /// <exception cref="Backends.BackendException">The size does not fit 63 bits.</exception>
    public static ExportDescription Describe(ulong size, ushort flags)
    {
        if (size > long.MaxValue)
            throw NbdFailure.Protocol($"it says that the export has {size} bytes, more than 2^63 - 1");
        var known = (NbdTransmissionFlags)flags;

        // Without HAS_FLAGS the other flags mean nothing.
        return new ExportDescription { Size = (long)size, Flags = (known & NbdTransmissionFlags.HasFlags) != 0 ? known : NbdTransmissionFlags.None };
    }

    private static (int Minimum, int Preferred, uint Maximum) CheckBlocks(uint minimum, uint preferred, uint maximum)
    {
        if (!BitOperations.IsPow2(minimum) || minimum > 64 << 10)
            throw NbdFailure.Protocol($"its minimum block size, {minimum}, is no power of two up to 64 KiB");
        if (maximum < minimum)
            throw NbdFailure.Protocol($"its maximum block size, {maximum}, is less than its minimum, {minimum}");
        bool usable = BitOperations.IsPow2(preferred) && preferred >= Math.Max(512, minimum) && preferred <= 32 << 20;
        return ((int)minimum, usable ? (int)preferred : Math.Max(4096, (int)minimum), maximum);
    }

    private static void Require(NbdInfo type, ReadOnlySpan<byte> data, int length)
    {
        if (data.Length != length)
            throw NbdFailure.Protocol($"its {type} information has {data.Length} bytes in place of {length}");
    }
}
