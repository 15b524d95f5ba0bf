using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Farspan.TestKit.Fsx;

/// <summary>The few calls that the BCL does not offer.</summary>
internal static partial class FsxNative
{
    private const int ReadWrite = 2;
    private const int CloseOnExec = 0x80000;
    private static readonly int DirectFlag = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;
    private const int KeepSize = 1;
    private const int PunchHole = 2;
    private const int ZeroRange = 0x10;

    public static int Open(string path, bool direct)
    {
        int descriptor = OpenFile(path, ReadWrite | CloseOnExec | (direct ? DirectFlag : 0));
        return descriptor >= 0 ? descriptor : throw Failure($"open of {path}");
    }

    public static void Close(int descriptor)
    {
        if (CloseFile(descriptor) != 0)
            throw Failure("close");
    }

    public static unsafe void Read(int descriptor, Span<byte> buffer, long offset)
    {
        for (int done = 0; done < buffer.Length;)
        {
            nint count;
            fixed (byte* start = buffer[done..])
                count = ReadAt(descriptor, start, buffer.Length - done, offset + done);
            if (count <= 0)
                throw Failure($"pread of {buffer.Length} bytes at {offset} after {done}");
            done += (int)count;
        }
    }

    public static unsafe void Write(int descriptor, ReadOnlySpan<byte> buffer, long offset)
    {
        for (int done = 0; done < buffer.Length;)
        {
            nint count;
            fixed (byte* start = buffer[done..])
                count = WriteAt(descriptor, start, buffer.Length - done, offset + done);
            if (count <= 0)
                throw Failure($"pwrite of {buffer.Length} bytes at {offset} after {done}");
            done += (int)count;
        }
    }

    public static void Sync(int descriptor)
    {
        if (SyncFile(descriptor) != 0)
            throw Failure("fsync");
    }

    /// <summary>Truncates; false where the file refuses.</summary>
    public static bool TryTruncate(int descriptor, long length) => TruncateFile(descriptor, length) == 0;

    /// <summary>Punches a hole, or zeroes the range; false where the file does not offer it.</summary>
    public static bool TryPunch(int descriptor, long offset, long length, bool keepAllocated)
    {
        if (Allocate(descriptor, keepAllocated ? ZeroRange | KeepSize : PunchHole | KeepSize, offset, length) == 0)
            return true;
        const int notSupported = 95;
        return Marshal.GetLastPInvokeError() == notSupported ? false : throw Failure($"fallocate of {length} bytes at {offset}");
    }

    private static Win32Exception Failure(string call)
    {
        int errno = Marshal.GetLastPInvokeError();
        return new Win32Exception(errno, $"{call}: {Marshal.GetPInvokeErrorMessage(errno)} ({errno})");
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseFile(int descriptor);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static unsafe partial nint ReadAt(int descriptor, byte* buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static unsafe partial nint WriteAt(int descriptor, byte* buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int SyncFile(int descriptor);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int TruncateFile(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(int descriptor, int mode, long offset, long length);
}
