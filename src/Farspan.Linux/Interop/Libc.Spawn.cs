using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of spawn.h; their results are errnos themselves.</summary>
internal static unsafe partial class Libc
{
    /// <summary>Room for <c>posix_spawn_file_actions_t</c>, which is 80 bytes in glibc and musl.</summary>
    public const int SpawnFileActionsLength = 256;

    /// <summary>Room for <c>posix_spawnattr_t</c>, which is 336 bytes in glibc and musl.</summary>
    public const int SpawnAttributesLength = 512;

    public const short POSIX_SPAWN_SETPGROUP = 0x02;
    public const short POSIX_SPAWN_SETSIGDEF = 0x04;
    public const short POSIX_SPAWN_SETSIGMASK = 0x08;

    [LibraryImport("libc", EntryPoint = "posix_spawnp")]
    public static partial int Spawn(int* processId, byte* file, void* fileActions, void* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int InitSpawnFileActions(void* fileActions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int AddSpawnDuplicate(void* fileActions, int descriptor, int newDescriptor);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int DestroySpawnFileActions(void* fileActions);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    public static partial int InitSpawnAttributes(void* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    public static partial int DestroySpawnAttributes(void* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    public static partial int SetSpawnFlags(void* attributes, short flags);

    /// <summary>The process group of the new process; 0 for one of its own.</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setpgroup")]
    public static partial int SetSpawnGroup(void* attributes, int group);

    /// <summary>Which signals the new process does not ignore, though this one does: a set of 128 bytes.</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    public static partial int SetSpawnSignalDefaults(void* attributes, ulong* signals);

    /// <summary>Which signals are blocked in the new process: a set of 128 bytes.</summary>
    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    public static partial int SetSpawnSignalMask(void* attributes, ulong* signals);
}
