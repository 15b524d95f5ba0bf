using System.Runtime.InteropServices;
using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What only native code can do to the memory of this process: fork it, and move it.</summary>
internal sealed class NativeHelper : IDisposable
{
    private const string Source =
        """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <signal.h>
        #include <sys/mman.h>
        #include <sys/resource.h>
        #include <sys/wait.h>
        #include <unistd.h>

        /*
         * How a child of this process ends that exits with the byte there. Not fork(), which holds the locks of malloc meanwhile: where the kernel tells of
         * the fork, it goes on only once a thread of this process has read that.
         */
        int forked_read(volatile unsigned char *at)
        {
            int status;
            pid_t child = _Fork();
            if (child == 0) {
                struct rlimit none = { 0, 0 };
                setrlimit(RLIMIT_CORE, &none);
                signal(SIGBUS, SIG_DFL);
                signal(SIGSEGV, SIG_DFL);
                alarm(60);
                _exit(*at);
            }
            if (child < 0)
                return -1;
            while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                    return -1;
            return status;
        }

        void *reserve(size_t length)
        {
            return mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        }

        /* Moves memory over a reserved place, and reserves where it was: others of this process look for room too. */
        int move_to(void *from, size_t length, void *to)
        {
            if (mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
                return errno;
            return mmap(from, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == from ? 0 : errno;
        }

        int inherit(void *at, size_t length)
        {
            return madvise(at, length, MADV_DOFORK);
        }
        """;

    private readonly nint _library;
    private readonly unsafe delegate* unmanaged<ulong, int> _forkedRead;
    private readonly unsafe delegate* unmanaged<nuint, ulong> _reserve;
    private readonly unsafe delegate* unmanaged<ulong, nuint, ulong, int> _moveTo;
    private readonly unsafe delegate* unmanaged<ulong, nuint, int> _inherit;

    private unsafe NativeHelper(string path)
    {
        _library = NativeLibrary.Load(path);
        _forkedRead = (delegate* unmanaged<ulong, int>)NativeLibrary.GetExport(_library, "forked_read");
        _reserve = (delegate* unmanaged<nuint, ulong>)NativeLibrary.GetExport(_library, "reserve");
        _moveTo = (delegate* unmanaged<ulong, nuint, ulong, int>)NativeLibrary.GetExport(_library, "move_to");
        _inherit = (delegate* unmanaged<ulong, nuint, int>)NativeLibrary.GetExport(_library, "inherit");
    }

    public static async Task<NativeHelper> BuildAsync()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["helper.c"], Source);
        await PeerProcess.RunOkAsync("gcc", ["-O1", "-shared", "-fPIC", "-o", directory["helper.so"], directory["helper.c"]]);
        return new NativeHelper(directory["helper.so"]);
    }

    /// <summary>How a child ends that exits with the byte at an address: <c>exit 42</c>, <c>signal 7</c>.</summary>
    public Task<string> ForkedReadAsync(ulong address)
        => Task.Factory.StartNew(() => ForkedRead(address), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public unsafe ulong Reserve(long length) => _reserve((nuint)length);

    public unsafe int MoveTo(ulong from, long length, ulong to) => _moveTo(from, (nuint)length, to);

    /// <summary>Has children get memory that they would not.</summary>
    public unsafe int Inherit(ulong address, long length) => _inherit(address, (nuint)length);

    public void Dispose() => NativeLibrary.Free(_library);

    private unsafe string ForkedRead(ulong address)
    {
        int status = _forkedRead(address);
        return status < 0 ? "no child" : (status & 0x7F) == 0 ? $"exit {status >> 8}" : $"signal {status & 0x7F}";
    }
}
