using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Data of INFO and GO.
/// <code>
///  0  4  length of the name
///  4  n  name, UTF-8
///  …  2  number of information requests
///  …  2  each: information type
/// </code>
/// </summary>
internal readonly ref struct ExportInfoRequest
{
    private readonly ReadOnlySpan<byte> _requests;

    private ExportInfoRequest(ReadOnlySpan<byte> name, ReadOnlySpan<byte> requests)
    {
        Name = name;
        _requests = requests;
    }

    public ReadOnlySpan<byte> Name { get; }

    public int RequestCount => _requests.Length / sizeof(ushort);

    /// <summary>Whether the client listed <paramref name="info"/>.</summary>
    public bool Asks(NbdInfo info)
    {
        for (var rest = _requests; rest.Length > 0; rest = rest[sizeof(ushort)..])
        {
            if (BinaryPrimitives.ReadUInt16BigEndian(rest) == (ushort)info)
                return true;
        }

        return false;
    }

    public static int SizeOf(int nameLength, int requestCount) => sizeof(uint) + nameLength + sizeof(ushort) + (sizeof(ushort) * requestCount);

    public static void Write(Span<byte> destination, ReadOnlySpan<byte> name, ReadOnlySpan<NbdInfo> requests)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)name.Length);
        name.CopyTo(destination[4..]);
        destination = destination[(4 + name.Length)..];
        BinaryPrimitives.WriteUInt16BigEndian(destination, checked((ushort)requests.Length));
        foreach (var request in requests)
        {
            destination = destination[2..];
            BinaryPrimitives.WriteUInt16BigEndian(destination, (ushort)request);
        }
    }

    /// <summary>False where the lengths inside do not add up to exactly the length of the data.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ExportInfoRequest request)
    {
        request = default;
        if (!NbdFields.TryTakeText(ref source, out var name) || source.Length < sizeof(ushort))
            return false;
        int count = BinaryPrimitives.ReadUInt16BigEndian(source);
        source = source[sizeof(ushort)..];
        if (source.Length != count * sizeof(ushort))
            return false;
        request = new(name, source);
        return true;
    }
}
