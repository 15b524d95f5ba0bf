using System.Runtime.InteropServices;
using Farspan.Linux.Interop;
using Xunit;

namespace Farspan.Linux.Tests.Files;

public sealed class OpenFlagsTests
{
    // As the kernel's headers for each processor have them, in octal.
    [Theory(Timeout = 120_000)]
    [InlineData(Architecture.X64, "40000", "200000")]
    [InlineData(Architecture.Arm64, "200000", "40000")]
    [InlineData(Architecture.Ppc64le, "400000", "40000")]
    public Task Flags_AreThoseOfTheProcessor(Architecture processor, string direct, string directory)
    {
        Assert.Equal((Convert.ToInt32(direct, 8), Convert.ToInt32(directory, 8)), Libc.OpenFlags(processor));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task ProcessorWithoutKnownFlags_IsRefused()
    {
        Assert.Throws<PlatformNotSupportedException>(() => Libc.OpenFlags(Architecture.Wasm));
        return Task.CompletedTask;
    }
}
