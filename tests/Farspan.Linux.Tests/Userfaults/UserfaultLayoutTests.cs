using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Farspan.Linux.Interop;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Layouts and numbers beside the system's headers; what an older header does not have is left to the tests that try it.</summary>
public sealed class UserfaultLayoutTests
{
    private const string Includes =
        """
        #define _GNU_SOURCE
        #include <stddef.h>
        #include <string.h>
        #include <sys/eventfd.h>
        #include <sys/ioctl.h>
        #include <sys/mman.h>
        #include <linux/fs.h>
        #include <linux/userfaultfd.h>

        """;

    [RequiresFact("gcc")]
    public async Task Structs_MatchTheSystemsHeaders()
    {
        var program = new StringBuilder(Includes);
        Check<UserfaultApi>(program, "uffdio_api", null, ("Api", "api"), ("Features", "features"), ("Ioctls", "ioctls"));
        Check<UserfaultRange>(program, "uffdio_range", null, ("Start", "start"), ("Length", "len"));
        Check<UserfaultRegistration>(program, "uffdio_register", null, ("Range", "range"), ("Mode", "mode"), ("Ioctls", "ioctls"));
        Check<UserfaultTransfer>(program, "uffdio_copy", null, ("Destination", "dst"), ("Source", "src"), ("Length", "len"), ("Mode", "mode"), ("Done", "copy"));
        Check<UserfaultTransfer>(program, "uffdio_move", "UFFDIO_MOVE", ("Destination", "dst"), ("Source", "src"), ("Length", "len"), ("Mode", "mode"), ("Done", "move"));
        Check<UserfaultRangeAction>(program, "uffdio_zeropage", null, ("Range", "range"), ("Mode", "mode"), ("Done", "zeropage"));
        Check<UserfaultRangeAction>(program, "uffdio_continue", null, ("Range", "range"), ("Mode", "mode"), ("Done", "mapped"));
        Check<UserfaultRangeAction>(program, "uffdio_poison", "UFFDIO_POISON", ("Range", "range"), ("Mode", "mode"), ("Done", "updated"));
        Check<UserfaultMessage>(
            program, "uffd_msg", null, ("Event", "event"), ("FaultFlags", "arg.pagefault.flags"), ("FaultAddress", "arg.pagefault.address"),
            ("FaultThread", "arg.pagefault.feat.ptid"), ("ForkDescriptor", "arg.fork.ufd"), ("RemapFrom", "arg.remap.from"), ("RemapTo", "arg.remap.to"),
            ("RemapLength", "arg.remap.len"), ("RemoveStart", "arg.remove.start"), ("RemoveEnd", "arg.remove.end"));
        Check<PageScan>(
            program, "pm_scan_arg", "PAGEMAP_SCAN", ("Size", "size"), ("Flags", "flags"), ("Start", "start"), ("End", "end"), ("WalkEnd", "walk_end"),
            ("Runs", "vec"), ("RunCapacity", "vec_len"), ("MaximumPages", "max_pages"), ("Inverted", "category_inverted"), ("All", "category_mask"),
            ("Any", "category_anyof_mask"), ("Told", "return_mask"));
        Check<PageRun>(program, "page_region", "PAGEMAP_SCAN", ("Start", "start"), ("End", "end"), ("Categories", "categories"));

        // This struct is one of ours without its last field.
        program.AppendLine($"_Static_assert(sizeof(struct uffdio_writeprotect) == {SizeOf<UserfaultRangeAction>() - sizeof(long)}, \"writeprotect\");");
        program.AppendLine($"_Static_assert(offsetof(struct uffdio_writeprotect, mode) == {Marshal.OffsetOf<UserfaultRangeAction>("Mode")}, \"writeprotect.mode\");");
        await CompileAsync(program);
    }

    [RequiresFact("gcc")]
    public async Task Numbers_MatchTheSystemsHeaders()
    {
        var program = new StringBuilder(Includes);
        string[] prefixes = ["UFFD", "PAGEMAP_", "PAGE_IS_", "PM_SCAN_", "EFD_", "MAP_", "MADV_", "USERFAULTFD_IOC_"];
        foreach (var field in typeof(Libc).GetFields(BindingFlags.Static | BindingFlags.Public)
            .Where(field => field.IsLiteral && prefixes.Any(prefix => field.Name.StartsWith(prefix, StringComparison.Ordinal))))
        {
            string guard = field.Name.StartsWith("PAGE_IS_", StringComparison.Ordinal) ? "PAGEMAP_SCAN"
                : field.Name.StartsWith("UFFDIO_POISON", StringComparison.Ordinal) ? "UFFDIO_POISON"
                : field.Name.StartsWith("UFFDIO_MOVE", StringComparison.Ordinal) ? "UFFDIO_MOVE"
                : field.Name == nameof(Libc.UFFDIO_CONTINUE_MODE_WP) ? "UFFDIO_POISON" : field.Name;
            program.AppendLine(
                field.Name.StartsWith("UFFD_PAGEFAULT", StringComparison.Ordinal) || guard == field.Name ? $"#ifdef {field.Name}" : $"#ifdef {guard}");
            Assert(program, $"{field.Name} == {field.GetRawConstantValue()}ULL", field.Name);
            program.AppendLine("#endif");
        }

        foreach (var kind in Enum.GetValues<UserfaultEvent>())
            Assert(program, $"UFFD_EVENT_{kind} == {(int)kind}", kind.ToString());
        foreach (var feature in Enum.GetValues<UserfaultFeatures>().Where(f => f != UserfaultFeatures.None))
        {
            program.AppendLine($"#ifdef UFFD_FEATURE_{feature}");
            Assert(program, $"UFFD_FEATURE_{feature} == {(ulong)feature}ULL", feature.ToString());
            program.AppendLine("#endif");
        }

        await CompileAsync(program);
    }

    private static void Check<T>(StringBuilder program, string kernel, string? guard, params (string Field, string Kernel)[] fields)
        where T : unmanaged
    {
        if (guard is not null)
            program.AppendLine($"#ifdef {guard}");
        Assert(program, $"sizeof(struct {kernel}) == {SizeOf<T>()}", kernel);
        foreach (var (field, name) in fields)
            Assert(program, $"offsetof(struct {kernel}, {name}) == {Marshal.OffsetOf<T>(field)}", $"{kernel}.{name}");
        if (guard is not null)
            program.AppendLine("#endif");
    }

    private static int SizeOf<T>() => Unsafe.SizeOf<T>();

    private static void Assert(StringBuilder program, string condition, string what) => program.AppendLine($"_Static_assert({condition}, \"{what}\");");

    private static async Task CompileAsync(StringBuilder program)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["layout.c"], program.ToString());
        await PeerProcess.RunOkAsync("gcc", ["-fsyntax-only", directory["layout.c"]]);
    }
}
