using Farspan.Cli.Migration;
using Farspan.Migration;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Migration;

public sealed class RegionFilesTests
{
    private const int TimeLimit = 120_000;

    [Fact]
    public void RecordDirectory_IsBesideWhatLasts_OrTold()
    {
        Assert.Equal("/var/disk.img.farspan", RegionFiles.DirectoryFor("file:/var/disk.img?size=1MiB", told: null));
        Assert.Equal("/var/chunks.farspan", RegionFiles.DirectoryFor("directory:/var/chunks/?size=1MiB&chunk=64KiB", told: null));
        Assert.Null(RegionFiles.DirectoryFor("memory:1MiB", told: null));
        Assert.Equal("/var/state", RegionFiles.DirectoryFor("memory:1MiB", "/var/state"));
        Assert.Contains("--state", Assert.Throws<FormatException>(() => RegionFiles.DirectoryFor("nbd://host/disk", told: null)).Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Record_CanBeLookedAt_WhileItIsHeld()
    {
        using var directory = new TemporaryDirectory();
        Assert.Null(RegionFiles.Look(directory["disk"]));
        var record = RegionRecord.Begin(Guid.NewGuid());
        await using (var files = RegionFiles.Open(directory["disk.farspan"]))
        {
            await new RegionRecordFile(files).WriteAsync(record);
            var held = RegionFiles.Look(directory["disk"]);
            Assert.Equal((record, $"process {Environment.ProcessId}"), held);
            var error = Assert.Throws<CommandException>(() => RegionFiles.Open(directory["disk.farspan"]));
            Assert.Contains($"is held by process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal((record, (string?)null), RegionFiles.Look(directory["disk.farspan"]));
        await File.WriteAllTextAsync(directory["disk.farspan/region"], "damaged");
        Assert.Throws<CommandException>(() => RegionFiles.Look(directory["disk"]));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RecordInMemory_IsKeptAsInADirectory()
    {
        await using var files = RegionFiles.Open(directory: null);
        Assert.Equal(default, await RegionRecordFile.ReadAsync(files));
        var first = RegionRecord.Begin(Guid.NewGuid());
        await new RegionRecordFile(files).WriteAsync(first);
        Assert.Equal(first, await RegionRecordFile.ReadAsync(files));
        var second = first with { Epoch = 2 };
        await new RegionRecordFile(files).WriteAsync(second);
        Assert.Equal(second, await RegionRecordFile.ReadAsync(files));
        await new RegionRecordFile(files).WriteAsync(default);
        Assert.Equal(default, await RegionRecordFile.ReadAsync(files));
    }
}
