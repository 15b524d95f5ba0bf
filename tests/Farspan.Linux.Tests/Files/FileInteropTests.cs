using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Farspan.Linux.Interop;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

public sealed class FileInteropTests
{
    [RequiresFact("gcc")]
    public async Task Layouts_MatchTheSystemsHeaders()
    {
        var program = new StringBuilder("#define _GNU_SOURCE\n#include <stddef.h>\n#include <poll.h>\n#include <sys/uio.h>\n#include <sys/stat.h>\n");
        Assert(program, $"sizeof(struct statx) == {Marshal.SizeOf<FileStatus>()}");
        foreach (var (field, kernel) in new[]
        {
            (nameof(FileStatus.Mask), "stx_mask"), (nameof(FileStatus.BlockSize), "stx_blksize"), (nameof(FileStatus.Mode), "stx_mode"),
            (nameof(FileStatus.Size), "stx_size"),
        })
        {
            Assert(program, $"offsetof(struct statx, {kernel}) == {Marshal.OffsetOf<FileStatus>(field)}");
        }

        // The C library's own struct has these as spares where it is older.
        program.AppendLine("#ifdef STATX_DIOALIGN");
        Assert(program, $"offsetof(struct statx, stx_dev_major) == {Marshal.OffsetOf<FileStatus>(nameof(FileStatus.DeviceMajor))}");
        Assert(program, $"offsetof(struct statx, stx_dev_minor) == {Marshal.OffsetOf<FileStatus>(nameof(FileStatus.DeviceMinor))}");
        Assert(program, $"offsetof(struct statx, stx_dio_mem_align) == {Marshal.OffsetOf<FileStatus>(nameof(FileStatus.DirectMemoryAlignment))}");
        Assert(program, $"offsetof(struct statx, stx_dio_offset_align) == {Marshal.OffsetOf<FileStatus>(nameof(FileStatus.DirectOffsetAlignment))}");
        program.AppendLine("#endif");
        Assert(program, $"sizeof(struct pollfd) == {Marshal.SizeOf<PollEntry>()}");
        Assert(program, $"offsetof(struct pollfd, revents) == {Marshal.OffsetOf<PollEntry>(nameof(PollEntry.Found))}");
        Assert(program, $"sizeof(struct iovec) == {Marshal.SizeOf<IoVector>()}");
        await CompileAsync(program.ToString());
    }

    [RequiresFact("gcc")]
    public async Task Numbers_MatchTheSystemsHeaders()
    {
        var program = new StringBuilder(
            """
            #define _GNU_SOURCE
            #include <errno.h>
            #include <fcntl.h>
            #include <unistd.h>
            #include <sys/file.h>
            #include <sys/stat.h>
            #include <sys/uio.h>
            #include <linux/falloc.h>
            #include <linux/fs.h>
            #include <linux/magic.h>

            """);
        string[] prefixes = ["O_", "FALLOC_", "SEEK_", "RWF_", "AT_", "S_IF", "STATX_", "LOCK_", "BLK", "TMPFS_", "RAMFS_"];
        var fields = typeof(Libc).GetFields(BindingFlags.Static | BindingFlags.Public)
            .Where(field => field.IsLiteral && prefixes.Any(prefix => field.Name.StartsWith(prefix, StringComparison.Ordinal)));
        foreach (var field in fields)
        {
            program.AppendLine($"#ifdef {field.Name}");
            Assert(program, $"{field.Name} == {field.GetRawConstantValue()}");
            program.AppendLine("#endif");
        }

        Assert(program, $"O_DIRECT == {Libc.O_DIRECT}");
        foreach (var errno in Enum.GetValues<Errno>().Where(e => e != Errno.Ok))
            Assert(program, $"{errno} == {(int)errno}");
        await CompileAsync(program.ToString());
    }

    private static void Assert(StringBuilder program, string condition)
        => program.AppendLine($"_Static_assert({condition}, \"{condition}\");");

    private static async Task CompileAsync(string program)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["check.c"], program);
        await PeerProcess.RunOkAsync("gcc", ["-fsyntax-only", directory["check.c"]]);
    }
}
