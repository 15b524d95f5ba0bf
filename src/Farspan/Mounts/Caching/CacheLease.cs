using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Checksums;

namespace Farspan.Mounts.Caching;

/// <summary>Who a cache is to its remote, and under which lease of it the cache was true; the file <c>lease</c> of a cache directory.</summary>
/// <remarks>8 magic <c>FSPLEASE</c>, 16 key, 8 epoch, 4 CRC-32C of all before. Little-endian. See docs/wire/cache-journal.md.</remarks>
/// <param name="Key">The secret by which the remote knows this cache's mounts, one after another, as one holder.</param>
/// <param name="Epoch">The last lease under which the cache was used; 0 before the first.</param>
internal sealed record CacheLease(Guid Key, long Epoch)
{
    /// <summary>The file's name in the directory.</summary>
    public const string Name = "lease";

    private const string UnfinishedName = "lease.new";
    private const int Size = 36;

    private static ReadOnlySpan<byte> Magic => "FSPLEASE"u8;

    /// <summary>One that no remote knows.</summary>
    public static CacheLease CreateNew() => new(Guid.NewGuid(), 0);

    public static CacheLease? TryRead(ReadOnlySpan<byte> bytes)
        => bytes.Length == Size && bytes.StartsWith(Magic) && Crc32C.Compute(bytes[..^4]) == BinaryPrimitives.ReadUInt32LittleEndian(bytes[^4..])
            ? new CacheLease(new Guid(bytes.Slice(8, 16)), BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]))
            : null;

    /// <summary>What the directory keeps; null where there is none, or none that can be read: then nothing is known of other writers.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public static async ValueTask<CacheLease?> ReadAsync(ICacheFiles files)
    {
        if (!(await files.ListAsync()).Contains(Name))
            return null;
        await using var file = await files.OpenAsync(Name);
        byte[] bytes = new byte[Math.Min(file.Length, Size + 1)];
        await file.ReadAsync(0, bytes);
        return TryRead(bytes);
    }

    /// <summary>Keeps it; durable when this returns. A crash leaves what was kept before, or this.</summary>
    /// <exception cref="BackendException">It failed.</exception>
    public async ValueTask WriteAsync(ICacheFiles files)
    {
        await using (var file = await files.CreateAsync(UnfinishedName))
        {
            await file.WriteAsync(0, ToBytes());
            await file.FlushAsync();
        }

        await files.RenameAsync(UnfinishedName, Name);
        await files.SyncNamesAsync();
    }

    public byte[] ToBytes()
    {
        byte[] bytes = new byte[Size];
        Magic.CopyTo(bytes);
        Key.TryWriteBytes(bytes.AsSpan(8));
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Epoch);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(32), Crc32C.Compute(bytes.AsSpan(0, 32)));
        return bytes;
    }
}
