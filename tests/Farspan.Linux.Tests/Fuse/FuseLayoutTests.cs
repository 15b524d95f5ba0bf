using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Farspan.Linux.Fuse.Protocol;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class FuseLayoutTests
{
    // Their names change between versions of the header, or newer headers alone have them.
    private static readonly string[] s_unnamed = ["padding", "dummy", "unused", "spare", "unused4", "unused5", "pad", "max_stack_depth", "request_timeout"];

    private static readonly (Type Type, string Kernel)[] s_structs =
    [
        (typeof(FuseInHeader), "fuse_in_header"), (typeof(FuseOutHeader), "fuse_out_header"), (typeof(FuseInitIn), "fuse_init_in"),
        (typeof(FuseInitOut), "fuse_init_out"), (typeof(FuseAttr), "fuse_attr"), (typeof(FuseEntryOut), "fuse_entry_out"),
        (typeof(FuseAttrOut), "fuse_attr_out"), (typeof(FuseOpenIn), "fuse_open_in"), (typeof(FuseOpenOut), "fuse_open_out"),
        (typeof(FuseReleaseIn), "fuse_release_in"), (typeof(FuseReadIn), "fuse_read_in"), (typeof(FuseWriteIn), "fuse_write_in"),
        (typeof(FuseWriteOut), "fuse_write_out"), (typeof(FuseSetattrIn), "fuse_setattr_in"), (typeof(FuseKstatfs), "fuse_kstatfs"),
        (typeof(FuseFallocateIn), "fuse_fallocate_in"), (typeof(FuseLseekIn), "fuse_lseek_in"), (typeof(FuseLseekOut), "fuse_lseek_out"),
        (typeof(FuseInterruptIn), "fuse_interrupt_in"), (typeof(FuseDirent), "fuse_dirent"),
        (typeof(FuseNotifyInvalInodeOut), "fuse_notify_inval_inode_out"),
    ];

    [RequiresFact("gcc")]
    public async Task Structs_MatchTheSystemsHeader()
    {
        var program = new StringBuilder("#include <stddef.h>\n#include <linux/fuse.h>\n");
        foreach (var (type, kernel) in s_structs)
        {
            program.AppendLine($"_Static_assert(sizeof(struct {kernel}) == {SizeOf(type)}, \"size of {kernel}\");");
            foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public).Where(f => !s_unnamed.Contains(f.Name)))
                program.AppendLine($"_Static_assert(offsetof(struct {kernel}, {field.Name}) == {Marshal.OffsetOf(type, field.Name)}, \"{kernel}.{field.Name}\");");
        }

        await CompileAsync(program.ToString());
    }

    [RequiresFact("gcc")]
    public async Task Numbers_MatchTheSystemsHeader()
    {
        var program = new StringBuilder(
            "#define _GNU_SOURCE\n#include <linux/fuse.h>\n#include <linux/falloc.h>\n#include <fcntl.h>\n#include <sys/ioctl.h>\n#include <unistd.h>\n#include <dirent.h>\n#include <sys/stat.h>\n");
        foreach (var opcode in Enum.GetValues<FuseOpcode>())
            program.AppendLine($"_Static_assert(FUSE_{opcode} == {(uint)opcode}, \"{opcode}\");");
        foreach (var flag in Enum.GetValues<FuseInitFlags>().Where(f => f is not (FuseInitFlags.None or FuseInitFlags.REQUEST_TIMEOUT)))
            program.AppendLine($"_Static_assert(FUSE_{flag} == {(ulong)flag}ULL, \"{flag}\");");
        foreach (var field in typeof(FuseProtocol).GetFields(BindingFlags.Static | BindingFlags.Public).Where(f => f.IsLiteral && f.Name.Contains('_', StringComparison.Ordinal)))
            program.AppendLine($"_Static_assert({field.Name} == {field.GetRawConstantValue()}, \"{field.Name}\");");
        await CompileAsync(program.ToString());
    }

    private static int SizeOf(Type type)
        => (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static async Task CompileAsync(string program)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["layout.c"], program);
        await PeerProcess.RunOkAsync("gcc", ["-fsyntax-only", directory["layout.c"]]);
    }
}
