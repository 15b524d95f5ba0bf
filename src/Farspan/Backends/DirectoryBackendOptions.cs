using System.Numerics;
using Farspan.Units;

namespace Farspan.Backends;

/// <summary>How a directory of chunk files is opened as a backend.</summary>
public sealed record DirectoryBackendOptions
{
    /// <summary>The chunk length of a directory that is created without stating one: 64 KiB.</summary>
    public const int DefaultChunkLength = 64 << 10;

    /// <summary>The most chunks a directory holds.</summary>
    public const long MaximumChunks = 1L << 32;

    /// <summary>
    /// Number of bytes. Default: null, what the directory was made with; it must exist then. With a length an absent or empty directory is set
    /// up, and one that was made with another length is an error. More than zero; at most <see cref="MaximumChunks"/> chunks.
    /// </summary>
    public long? Length { get; init; }

    /// <summary>
    /// Bytes in a chunk file: a power of two from 4 KiB to 32 MiB. Default: null, what the directory was made with, or
    /// <see cref="DefaultChunkLength"/> where it is set up now.
    /// </summary>
    public int? ChunkLength { get; init; }

    /// <summary>Open for reading only. Default: false, which still opens read-only where the directory permits no more.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The most chunk files that are open at a time. Default: 256. At least 1.</summary>
    public int OpenFiles { get; init; } = 256;

    /// <summary>
    /// Makes durable what was created, renamed and deleted in the directory whose path it is given; throws where it cannot. Default: null,
    /// which leaves the names to the operating system: .NET cannot do it. <c>Farspan.Linux</c> has one.
    /// </summary>
    public Action<string>? SyncDirectory { get; init; }

    /// <summary>The options in <c>directory:PATH?size=1GiB&amp;chunk=64KiB</c>.</summary>
    /// <exception cref="FormatException">A parameter is unknown or its value does not fit.</exception>
    public static DirectoryBackendOptions Parse(BackendUri uri, BackendOpenOptions options)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(options);
        uri.AllowOnly("size", "chunk");
        long? chunk = uri.GetLength("chunk");
        if (chunk is { } bytes && !IsChunkLength(bytes))
            throw new FormatException($"'chunk={uri.Get("chunk")}' in {uri}: give a power of two from 4KiB to 32MiB.");
        long? length = uri.GetLength("size");
        if (length is { } total && ChunkCount(total, chunk ?? DefaultChunkLength) > MaximumChunks)
            throw new FormatException($"'size={uri.Get("size")}' in {uri} makes too many chunks; give a larger chunk=.");
        return new DirectoryBackendOptions { Length = length, ChunkLength = (int?)chunk, ReadOnly = options.ReadOnly };
    }

    /// <summary>Throws unless the values fit together.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One does not.</exception>
    public void Validate()
    {
        if (Length is < 1)
            throw new ArgumentOutOfRangeException(nameof(Length), $"A directory backend has at least 1 byte, not {Length}.");
        if (ChunkLength is { } chunk && !IsChunkLength(chunk))
            throw new ArgumentOutOfRangeException(nameof(ChunkLength), $"A chunk is a power of two from 4 KiB to 32 MiB long, not {chunk} bytes.");
        if (Length is { } length && ChunkCount(length, ChunkLength ?? DefaultChunkLength) > MaximumChunks)
        {
            throw new ArgumentOutOfRangeException(
                nameof(Length), $"{ByteSize.Format(length)} are more than {MaximumChunks} chunks; use a larger chunk length.");
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(OpenFiles, 1);
    }

    internal static bool IsChunkLength(long bytes) => bytes is >= 4 << 10 and <= 32 << 20 && BitOperations.IsPow2(bytes);

    internal static long ChunkCount(long length, long chunkLength) => ((length - 1) / chunkLength) + 1;
}
