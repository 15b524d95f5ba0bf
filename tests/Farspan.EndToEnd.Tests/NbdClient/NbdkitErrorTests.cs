using Farspan.Backends;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>Each error that nbdkit can send, from each command, is the caller's; the connection goes on.</summary>
public sealed class NbdkitErrorTests
{
    [RequiresTheory("nbdkit")]
    [InlineData("EPERM", BackendError.AccessDenied)]
    [InlineData("EIO", BackendError.InputOutput)]
    [InlineData("ENOMEM", BackendError.NoMemory)]
    [InlineData("EINVAL", BackendError.Invalid)]
    [InlineData("ENOSPC", BackendError.NoSpace)]
    public async Task EveryCommand_FailsWithItsError_WhileTheServerSaysSo(string error, BackendError expected)
    {
        await using var server = await NbdPeer.StartAsync(
            "--filter=error", "memory", "1M", $"error={error}", "error-rate=100%", "error-file={dir}/trigger");
        await using var backend = await server.ConnectAsync();
        await backend.WriteAsync(0, new byte[4096]);
        await backend.FlushAsync();
        await File.WriteAllTextAsync(server["trigger"], "");
        Func<Task>[] calls =
        [
            () => backend.ReadAsync(0, new byte[512]).AsTask(),
            () => backend.WriteAsync(0, new byte[512]).AsTask(),
            () => backend.GetCapability<ITrim>()!.TrimAsync(0, 4096).AsTask(),
            () => backend.GetCapability<IZero>()!.ZeroAsync(0, 4096).AsTask(),
            () => backend.GetCapability<IExtentSource>()!.ListExtentsAsync(0, 4096, 10, new List<Extent>()).AsTask(),
        ];
        foreach (var call in calls)
            Assert.Equal(expected, (await Assert.ThrowsAsync<BackendException>(call)).Error);
        File.Delete(server["trigger"]);
        foreach (var call in calls)
            await call();
        await backend.FlushAsync();
    }
}
