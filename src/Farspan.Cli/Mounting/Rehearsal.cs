using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.Cli.Mounting;

/// <summary>
/// Reads and writes once through a managed mount of a few bytes of its own, while the real remote is being opened. What the runtime has to compile
/// or load for that is then there when the first program reads, which would otherwise wait for it on top of the line.
/// </summary>
internal static class Rehearsal
{
    private const int Length = 1 << 20;

    /// <summary>Runs on the thread pool, and ends by itself within moments: nothing in it waits for anything outside this process.</summary>
    public static Task Start() => Task.Run(RunAsync);

    private static async Task RunAsync()
    {
        var options = new ManagedMountOptions { BackgroundPull = BackgroundPull.ReadAhead };
        await using var mount = await ManagedBackend.OpenAsync(new LateBackend(Length), options);
        byte[] buffer = new byte[options.ChunkSize * 2];
        await mount.ReadAsync(Length / 2, buffer.AsMemory(0, 4096));
        await mount.WriteAsync(0, buffer);
        await mount.FlushAsync();
    }
}
