using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Data of LIST_META_CONTEXT and SET_META_CONTEXT.
/// <code>
///  0  4  length of the export's name
///  4  n  name, UTF-8
///  …  4  number of queries
///  …     each: 4 length, then the query, UTF-8
/// </code>
/// </summary>
internal readonly ref struct MetaContextRequest
{
    private MetaContextRequest(ReadOnlySpan<byte> name, int queryCount, ReadOnlySpan<byte> queries)
    {
        Name = name;
        QueryCount = queryCount;
        Queries = queries;
    }

    public ReadOnlySpan<byte> Name { get; }

    public int QueryCount { get; }

    /// <summary>The queries as they stand; take them off with <see cref="NbdFields.TryTakeText"/>, which does not fail here.</summary>
    public ReadOnlySpan<byte> Queries { get; }

    public static int SizeOf(ReadOnlySpan<byte> name, params ReadOnlySpan<string> queries)
    {
        int size = sizeof(uint) + name.Length + sizeof(uint);
        foreach (string query in queries)
            size += sizeof(uint) + System.Text.Encoding.UTF8.GetByteCount(query);
        return size;
    }

    public static void Write(Span<byte> destination, ReadOnlySpan<byte> name, params ReadOnlySpan<string> queries)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)name.Length);
        name.CopyTo(destination[4..]);
        destination = destination[(4 + name.Length)..];
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)queries.Length);
        destination = destination[4..];
        foreach (string query in queries)
        {
            int length = System.Text.Encoding.UTF8.GetBytes(query, destination[4..]);
            BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)length);
            destination = destination[(4 + length)..];
        }
    }

    /// <summary>False where the lengths inside do not add up to exactly the length of the data.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out MetaContextRequest request)
    {
        request = default;
        if (!NbdFields.TryTakeText(ref source, out var name) || !NbdFields.TryTakeUInt32(ref source, out uint count))
            return false;
        var queries = source;
        for (uint taken = 0; taken < count; taken++)
        {
            // Each query takes four bytes of its own at least, so that a huge count ends here at the end of the data.
            if (!NbdFields.TryTakeText(ref source, out _))
                return false;
        }

        if (source.Length > 0)
            return false;
        request = new(name, (int)count, queries);
        return true;
    }
}
