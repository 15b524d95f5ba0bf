using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Linux.Userfaults;

namespace Farspan.FuseHost;

/// <summary>
/// Touches memory of a region as native code does, where it cannot be brought: the remote fails, or the region closes meanwhile. The kernel is to end this
/// process then; if the touch comes back it says with what.
/// </summary>
internal static partial class RawToucher
{
    private const int Length = 1 << 20;
    private const int Absent = Length / 2;

    public static async Task RunAsync(string trouble)
    {
        await using var backend = new KnobBackend(Length) { Lends = false, IgnoresCancellation = trouble == "deaf" };
        await backend.WriteAsync(Absent, Enumerable.Repeat((byte)42, 4096).ToArray());
        var region = RemoteMemory.Map(backend, new RemoteMemoryOptions { ReadOnly = true });
        nint address;
        using (var view = await region.AcquireAsync(0, 1))
            address = AddressOf(view);
        if (trouble == "failing")
            backend.ReadError = BackendError.InputOutput;
        else
            backend.Hold(true);
        var toucher = new Thread(() => Console.WriteLine($"touched {Touch(address + Absent)}"));
        Console.WriteLine("touching");
        toucher.Start();
        while (region.Status.Faults == 0)
            await Task.Delay(1);
        if (trouble != "failing")
            Console.WriteLine($"closed {(await region.CloseAsync()).Error?.Message}");
        toucher.Join();
    }

    private static unsafe nint AddressOf(MemoryView view)
    {
        fixed (byte* start = view.ReadOnlySpan)
            return (nint)start;
    }

    private static unsafe byte Touch(nint address)
    {
        byte found = 0;
        CopyMemory(&found, (void*)address, 1);
        return found;
    }

    [LibraryImport("libc", EntryPoint = "memmove")]
    private static unsafe partial void* CopyMemory(void* destination, void* source, nuint length);
}
