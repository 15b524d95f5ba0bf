using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Linux.Fuse;

/// <summary>How a backend is mounted as a file.</summary>
public sealed record FuseMountOptions
{
    /// <summary>The file's name where the target is a directory. Default: <c>export</c>. 1 to 255 bytes of UTF-8 without <c>/</c>, not <c>.</c> or <c>..</c>.</summary>
    public string FileName { get; init; } = "export";

    /// <summary>Mount for reading only. Default: false; a read-only backend is always mounted so.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Permissions of the file. Default: read and write for the owner alone; write permissions go where the mount is read-only.</summary>
    public UnixFileMode Mode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>
    /// Whether other users may use the file, as far as <see cref="Mode"/> lets them. Default: false. For users other than root it needs
    /// <c>user_allow_other</c> in <c>/etc/fuse.conf</c>.
    /// </summary>
    public bool AllowOther { get; init; }

    /// <summary>What stands for the device in <c>mount</c> and <c>df</c>. Default: <c>farspan</c>. No comma, no white space.</summary>
    public string Source { get; init; } = "farspan";

    /// <summary>Threads that serve the file. Default: as many as there are processors, at least 2, at most 8. 1 to 64.</summary>
    public int Threads { get; init; } = Math.Clamp(Environment.ProcessorCount, 2, 8);

    /// <summary>
    /// Longest request in bytes: a program's longer write is split. Default: 512 KiB, so that two threads copy a direct write of 1 MiB side by side
    /// and a buffered one, whose parts go one after the other, takes two turns. A multiple of 4 KiB up to 16 MiB.
    /// </summary>
    public int MaximumRequestLength { get; init; } = 512 << 10;

    /// <summary>
    /// Longest read in bytes, where <see cref="MaximumRequestLength"/> is not less: the parts of a program's longer read are asked for at once and
    /// copied by several threads. Default: 256 KiB. A multiple of 4 KiB up to 16 MiB.
    /// </summary>
    public int MaximumReadLength { get; init; } = 256 << 10;

    /// <summary>
    /// Requests under way at once; further ones wait in the kernel. Default: 64. 2 to 1,024, and more than <see cref="Threads"/>. Each may hold a
    /// buffer of <see cref="MaximumRequestLength"/>.
    /// </summary>
    public int MaximumRequests { get; init; } = 64;

    /// <summary>
    /// How far the kernel reads ahead of a sequential reader, and around a page fault, in bytes. Default: 1 MiB. Only root can have more than
    /// 128 KiB; for others, and where <c>/sys</c> cannot be written, less is silently used.
    /// </summary>
    public long ReadAhead { get; init; } = 1 << 20;

    /// <summary>
    /// Whether the kernel gathers small writes in its page cache and sends them later: at the latest on fsync, close, and unmount. Default: false,
    /// every write reaches the backend before it returns. With it a write past the end is noticed only by fsync.
    /// </summary>
    public bool UseWritebackCache { get; init; }

    /// <summary>
    /// Whether opening with O_TRUNC succeeds and changes nothing, as on a block device. Default: true, so that <c>dd</c>, <c>cp</c> and shell
    /// redirection write over the bytes that are there. Any other change of size is refused.
    /// </summary>
    public bool IgnoreOpenTruncation { get; init; } = true;

    /// <summary>How long mounting may take. Default: 30 s. More than zero.</summary>
    public TimeSpan MountTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long each step of unmounting may stand still: writing back the kernel's pages, requests under way, the last flush. Past it the
    /// connection is cut off, and unmounting fails. Default: 30 s. More than zero.
    /// </summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long <see cref="FuseMount.UnmountAsync"/> waits for programs that still use the file. Default: 1 s. Zero or more.</summary>
    public TimeSpan BusyTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Told of what no caller hears: failed requests, threads that fail. Default: nobody.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    internal int LongestRead => Math.Min(MaximumReadLength, MaximumRequestLength);

    /// <exception cref="ArgumentException">A property is outside what its description allows.</exception>
    internal void Validate()
    {
        if (FileName is "" or "." or ".." || FileName.AsSpan().ContainsAny('/', '\0') || System.Text.Encoding.UTF8.GetByteCount(FileName) > 255)
            throw new ArgumentException($"{nameof(FileName)} '{FileName}' cannot name a file; give 1 to 255 bytes without '/'.");
        if (Source.Length == 0 || Source.Any(c => c is ',' or '\\' || char.IsWhiteSpace(c) || char.IsControl(c)))
            throw new ArgumentException($"{nameof(Source)} '{Source}' is empty or holds a comma, a backslash or white space.");
        Within(Threads, 1, 64, nameof(Threads));
        Within(MaximumRequests, Math.Max(2, Threads + 1), 1024, nameof(MaximumRequests));
        RequestLength(MaximumRequestLength, nameof(MaximumRequestLength));
        RequestLength(MaximumReadLength, nameof(MaximumReadLength));
        if (ReadAhead is < 0 or > 1L << 30)
            throw new ArgumentException($"{nameof(ReadAhead)} {ReadAhead} is not between 0 and 1 GiB.");
        if (BusyTimeout < TimeSpan.Zero)
            throw new ArgumentException($"{nameof(BusyTimeout)} must not be negative.");
        if (MountTimeout <= TimeSpan.Zero || CloseTimeout <= TimeSpan.Zero)
            throw new ArgumentException($"{nameof(MountTimeout)} and {nameof(CloseTimeout)} must be more than zero.");
    }

    private static void RequestLength(int value, string name)
    {
        if (value is < 4096 or > 16 << 20 || value % 4096 != 0)
            throw new ArgumentException($"{name} {value} is no multiple of 4 KiB from 4 KiB to 16 MiB.");
    }

    private static void Within(int value, int low, int high, string name)
    {
        if (value < low || value > high)
            throw new ArgumentException($"{name} {value} is not between {low} and {high}.");
    }
}
