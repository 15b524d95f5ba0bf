using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>Managed mounts over Farspan's own wire, which lets one of them write.</summary>
public sealed class ManagedLeaseTests
{
    [RequiresFact("fuse", "dd")]
    public async Task SecondWriterIsRefused_UntilTheFirstHasUnmounted_AndTheStatusShowsTheEpoch()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await farspan.ServeAsync("memory:1MiB", "--listen", "farspan+unix:///?socket=s");
        await farspan.OkAsync("mount", "farspan+unix:///?socket=s", "f");
        long first = await EpochAsync();
        Assert.Contains("Another writer holds the lease", await farspan.FailsAsync(1, "mount", "farspan+unix:///?socket=s", "g"));
        await ManagedMountTests.ZeroAsync(directory["f"], 3);
        await farspan.OkAsync("umount", "f");
        await farspan.OkAsync("mount", "farspan+unix:///?socket=s", "f");
        Assert.True(await EpochAsync() > first);
        await farspan.OkAsync("umount", "f");

        async Task<long> EpochAsync()
        {
            using var status = JsonDocument.Parse(await farspan.OkAsync("status", "f", "--json"));
            return status.RootElement.GetProperty("leaseEpoch").GetInt64();
        }
    }
}
