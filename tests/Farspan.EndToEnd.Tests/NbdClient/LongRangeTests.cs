using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>Zeroes, trims and extents of more than one request of 32 bits can say, at servers of another make.</summary>
public sealed class LongRangeTests
{
    private const long Size = 6L << 30;

    private static readonly byte[] s_mark = BackendModel.Bytes(1, 512);

    [RequiresTheory("nbdkit", "qemu-nbd", "qemu-storage-daemon")]
    [InlineData("nbdkit")]
    [InlineData("qemu-nbd")]
    [InlineData("qemu-storage-daemon")]
    public async Task ZeroesAndTrims_Of5GiB_ReachEveryByteAndNoOther(string program)
    {
        await using var server = program switch
        {
            "nbdkit" => await NbdPeer.StartAsync("memory", $"{Size}"),
            "qemu-nbd" => await NbdPeer.StartQemuAsync(Size),
            _ => await NbdPeer.StartStorageDaemonAsync(Size),
        };
        await using var backend = await server.ConnectAsync();
        const long Start = 4096 + 512;
        const long Length = (5L << 30) + 1024;
        long[] inside = [Start, Start + (64 << 20), Start + (2L << 30), Start + (4L << 30) - 512, Start + (4L << 30), Start + Length - 512];
        long[] outside = [Start - 512, Start + Length];
        foreach (long at in (long[])[.. inside, .. outside])
            await backend.WriteAsync(at, s_mark);
        await backend.GetCapability<IZero>()!.ZeroAsync(Start, Length);
        byte[] found = new byte[512];
        foreach (long at in inside)
        {
            await backend.ReadAsync(at, found);
            Assert.False(found.AsSpan().ContainsAnyExcept((byte)0), $"Not zero at {at}.");
        }

        // A trimmed range may hold anything, what lies around it may not.
        await backend.GetCapability<ITrim>()!.TrimAsync(Start, Length);
        foreach (long at in outside)
        {
            await backend.ReadAsync(at, found);
            Assert.Equal(s_mark, found);
        }

        await backend.FlushAsync();
        var extents = await ExtentList.AllAsync(backend.GetCapability<IExtentSource>()!, 0, Size, 100);
        Assert.Equal(Size, extents.Sum(e => e.Length));
        Assert.True(extents.Where(e => e.Kind.HasFlag(ExtentKind.Zero)).Sum(e => e.Length) > 5L << 30);
    }
}
