using Farspan.Linux.Fuse;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class FuseMountOptionsTests
{
    public static TheoryData<FuseMountOptions> Wrong => new(
        new FuseMountOptions { FileName = "" }, new FuseMountOptions { FileName = ".." }, new FuseMountOptions { FileName = "a/b" },
        new FuseMountOptions { FileName = new string('é', 128) }, new FuseMountOptions { Source = "a,b" }, new FuseMountOptions { Source = "a b" },
        new FuseMountOptions { Source = "" }, new FuseMountOptions { Threads = 0 }, new FuseMountOptions { Threads = 65 },
        new FuseMountOptions { Threads = 8, MaximumRequests = 8 }, new FuseMountOptions { MaximumRequests = 1025 },
        new FuseMountOptions { MaximumRequestLength = 4095 }, new FuseMountOptions { MaximumReadLength = 4095 }, new FuseMountOptions { MaximumRequestLength = 32 << 20 },
        new FuseMountOptions { ReadAhead = -1 }, new FuseMountOptions { MountTimeout = TimeSpan.Zero }, new FuseMountOptions { CloseTimeout = TimeSpan.Zero },
        new FuseMountOptions { BusyTimeout = TimeSpan.FromSeconds(-1) });

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Wrong))]
    public Task Options_OutOfBounds_AreRefused(FuseMountOptions options)
    {
        Assert.Throws<ArgumentException>(options.Validate);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Options_AsTheyStand_AreAccepted()
    {
        new FuseMountOptions().Validate();
        new FuseMountOptions { FileName = "ä disk.img", MaximumRequestLength = 4096, Threads = 64, MaximumRequests = 65, ReadAhead = 0 }.Validate();
        return Task.CompletedTask;
    }
}
