using System.Runtime.InteropServices;

namespace Farspan.TestKit;

/// <summary>What this kernel and user may do with userfaults, tried with nothing of the program that is tested.</summary>
internal static unsafe partial class KernelUserfaults
{
    private static readonly Dictionary<string, int> s_bits = new(StringComparer.Ordinal)
    {
        ["POISON"] = 14, ["WP_ASYNC"] = 15, ["MOVE"] = 16,
    };

    private static readonly ulong? s_features = Try();

    public static bool CanUse => s_features is not null;

    /// <summary>Whether the kernel has a feature of linux/userfaultfd.h, by its name without the prefix.</summary>
    public static bool Has(string feature) => ((s_features ?? 0) >> s_bits[feature] & 1) != 0;

    private static ulong? Try()
    {
        // Faults from user mode only: that needs no privilege.
        long number = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 323 : 282;
        int descriptor = (int)SystemCall(number, 0x80001, 0);
        if (descriptor < 0)
            return null;
        ulong* api = stackalloc ulong[3] { 0xAA, 0, 0 };
        int result = Control(descriptor, 0xC018AA3F, api);
        _ = Close(descriptor);
        return result == 0 ? api[1] : null;
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, long first, long second);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
