using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of spawn.h; their results are errnos themselves.</summary>
internal static unsafe partial class Libc
{
    /// <summary>Room for <c>posix_spawn_file_actions_t</c>, which is 80 bytes in glibc and musl.</summary>
    public const int SpawnFileActionsLength = 256;

    [LibraryImport("libc", EntryPoint = "posix_spawnp")]
    public static partial int Spawn(int* processId, byte* file, void* fileActions, void* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int InitSpawnFileActions(void* fileActions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int AddSpawnDuplicate(void* fileActions, int descriptor, int newDescriptor);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int DestroySpawnFileActions(void* fileActions);
}
