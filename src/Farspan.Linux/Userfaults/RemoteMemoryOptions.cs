using Farspan.Backends;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Linux.Userfaults;

/// <summary>How remote bytes are made memory of this process.</summary>
public sealed record RemoteMemoryOptions
{
    /// <summary>Bytes of a chunk, which is brought as a whole: a power of two from 4 KiB to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>Bytes of the region that may be in memory at one time; at least 16 chunks. What was written is saved before it goes. Default: null, all
    /// of it.</summary>
    public long? ResidentLimit { get; init; }

    /// <summary>
    /// The directory in which a managed mount keeps what was read and saved, over a crash or a restart. Default: null; a little is kept in memory. Only where
    /// the region is opened by URI.
    /// </summary>
    public string? Cache { get; init; }

    /// <summary>How often what was written in memory is saved: given to the backend, which makes it durable in its time. From 10 ms to a day. Default:
    /// 5 s.</summary>
    public TimeSpan SaveInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes brought ahead of faults that follow each other, up to 64 MiB; 0 for none. Default: 8 MiB.</summary>
    public int ReadAhead { get; init; } = 8 << 20;

    /// <summary>Threads that answer page faults, from 1 to 64. Default: 2.</summary>
    public int FaultThreads { get; init; } = 2;

    /// <summary>Whether it is for reading only. Default: no, unless the backend is.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>How a backend is opened by URI. Default: <see cref="CoreBackends"/> and <see cref="LinuxBackends"/>.</summary>
    public BackendRegistry? Registry { get; init; }

    /// <summary>The managed mount between the region and a remote that is opened by URI. Default: its own defaults, with chunks and cache of the region's
    /// options, and pulls ahead of readers only.</summary>
    public ManagedMountOptions? Managed { get; init; }

    /// <summary>What the region logs. Default: nothing.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <exception cref="ArgumentException">A value is out of its bounds; the message names it.</exception>
    internal void Validate()
    {
        Check(ChunkSize is >= 4096 and <= 32 << 20 && (ChunkSize & (ChunkSize - 1)) == 0 && ChunkSize >= Environment.SystemPageSize, nameof(ChunkSize), "a power of two from 4 KiB to 32 MiB");
        Check(ResidentLimit is null || ResidentLimit >= 16L * ChunkSize, nameof(ResidentLimit), "at least 16 chunks");
        Check(SaveInterval >= TimeSpan.FromMilliseconds(10) && SaveInterval <= TimeSpan.FromDays(1), nameof(SaveInterval), "from 10 ms to a day");
        Check(ReadAhead is >= 0 and <= 64 << 20, nameof(ReadAhead), "from 0 to 64 MiB");
        Check(FaultThreads is >= 1 and <= 64, nameof(FaultThreads), "from 1 to 64");

        static void Check(bool holds, string name, string bounds)
        {
            if (!holds)
                throw new ArgumentException($"{name} has to be {bounds}.", name);
        }
    }
}
