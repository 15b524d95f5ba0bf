using Farspan.EndToEnd.Tests.Cli;
using Farspan.Linux.Mounts;
using Farspan.Mounts;
using Farspan.TestKit;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>A managed mount in a program, served by the <c>farspan</c> program as its child.</summary>
public sealed class ManagedMemoryTests
{
    private static readonly DirectMountOptions s_program = new() { Program = RepositoryRoot.Combine("farspan") };

    [RequiresFact("fuse")]
    public async Task Memory_IsWrittenAndPushed_AndTheStatusTells()
    {
        using var directory = new TemporaryDirectory();
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        var options = new ManagedMountOptions
        {
            CacheDirectory = directory["cache"],
            Flush = FlushMode.Local,
            PushInterval = TimeSpan.FromHours(1),
            PullOrder = PullOrder.Reverse,
        };
        await using var mount = await RemoteMount.OpenManagedAsync($"file:{directory["disk"]}?lock=off", directory["f"], options, s_program);
        Assert.NotEqual(Environment.ProcessId, mount.ServerProcessId);
        using (var memory = mount.OpenMemory())
        {
            memory.Slice(8192, 4096).Span.Clear();
            await memory.FlushAsync();
        }

        var status = await mount.GetStatusAsync();
        Assert.Equal(4096, status.DirtyBytes);
        Assert.Equal(0, status.PushedBytes);
        var report = await mount.CloseAsync();
        Assert.Equal(new MountCloseReport(0, null, null), report);
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 8192, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
    }

    [RequiresFact("fuse")]
    public async Task ServerGone_TheReportSaysHowMuchIsKeptWhere()
    {
        using var directory = new TemporaryDirectory();
        await using var served = await ServedExport.StartAsync("tcp", "memory:1MiB");
        var options = new ManagedMountOptions
        {
            CacheDirectory = directory["cache"],
            Flush = FlushMode.Local,
            PushInterval = TimeSpan.FromHours(1),
            CloseTimeout = TimeSpan.FromSeconds(1),
            OutageTimeout = TimeSpan.FromSeconds(1),
        };
        await using var mount = await RemoteMount.OpenManagedAsync(served.Uri, directory["f"], options, s_program);
        using (var file = mount.OpenFile())
        {
            file.WriteAt(0, new byte[4096]);
            await file.FlushAsync();
        }

        await served.KillAsync();
        var report = await mount.CloseAsync();
        Assert.Equal(4096, report.UnpushedBytes);
        Assert.Equal(directory["cache"], report.KeptIn);
        Assert.NotNull(report.Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task WhatOnlyThisProcessCanDo_IsRefused()
        => await Assert.ThrowsAsync<ArgumentException>(() => RemoteMount.OpenManagedAsync(
            "memory:1MiB", "/nowhere/f", new ManagedMountOptions { PullOrder = PullOrder.Ranges([(0, 4096)]) }, s_program));
}
