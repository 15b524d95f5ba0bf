using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Nbd;
using Farspan.Nbd.Client;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>The client against nbdkit's ways of being different.</summary>
public sealed class NbdkitSettingsTests
{
    private static readonly BackendRegistry Registry = new BackendRegistry().AddNbdBackends();

    [RequiresFact("nbdkit")]
    public async Task Pattern_IsReadRightEverywhere()
    {
        // 1 EiB and more: offsets above 32 and 53 bits.
        await using var server = await NbdPeer.StartAsync("pattern", "size=4E");
        await using var backend = await server.ConnectAsync();
        Assert.Equal(4L << 60, backend.Length);
        foreach (long offset in new[] { 0L, 8, (1L << 32) - 8, 1L << 40, (1L << 60) + 4096, (4L << 60) - 80_000 })
        {
            byte[] buffer = new byte[80_000];
            await backend.ReadAsync(offset, buffer);
            for (int i = 0; i < buffer.Length; i += 8)
                Assert.Equal(offset + i, BinaryPrimitives.ReadInt64BigEndian(buffer.AsSpan(i)));
        }
    }

    [RequiresFact("nbdkit")]
    public async Task LongReads_AreSplitAndPutTogether()
    {
        await using var server = await NbdPeer.StartAsync("pattern", "size=256M");
        await using var backend = await server.ConnectAsync();
        byte[] buffer = new byte[100_000_000];
        await backend.ReadAsync(8_000, buffer);
        for (int i = 0; i < buffer.Length; i += 8)
        {
            if (BinaryPrimitives.ReadInt64BigEndian(buffer.AsSpan(i)) != 8_000 + i)
                Assert.Fail($"Wrong at {i}.");
        }
    }

    [RequiresFact("nbdkit")]
    public async Task SparseDisk_TellsItsHoles()
    {
        await using var server = await NbdPeer.StartAsync("sparse-random", "64M", "seed=7", "runlength=262144");
        await using var backend = await server.ConnectAsync();
        var extents = await ExtentList.AllAsync(backend.GetCapability<IExtentSource>()!, 0, backend.Length, 100);
        Assert.Contains(extents, e => e.Kind.HasFlag(ExtentKind.Zero));
        Assert.Contains(extents, e => e.Kind == ExtentKind.Data);
        foreach (var hole in extents.Where(e => e.Kind.HasFlag(ExtentKind.Zero)).Take(20))
        {
            byte[] buffer = new byte[(int)Math.Min(hole.Length, 1 << 20)];
            buffer.AsSpan().Fill(1);
            await backend.ReadAsync(hole.Offset, buffer);
            Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
        }
    }

    [RequiresTheory("nbdkit")]
    [InlineData("--no-sr")]
    [InlineData("--mask-handshake=0")]
    [InlineData("--filter=delay", "rdelay=3ms", "wdelay=3ms")]
    [InlineData("--filter=noextents")]
    [InlineData("--filter=nozero")]
    [InlineData("--filter=nozero", "zeromode=emulate")]
    [InlineData("--filter=multi-conn", "multi-conn-mode=disable")]
    [InlineData("--filter=multi-conn", "multi-conn-mode=emulate")]
    [InlineData("--filter=blocksize", "minblock=4K")]
    [InlineData("--filter=fua", "fuamode=emulate")]
    [InlineData("--filter=noparallel", "serialize=all-requests")]
    [InlineData("--filter=nocache")]
    [InlineData("--threads=1")]
    [InlineData("--filter=retry-request", "retry-request-delay=1")]
    public async Task EverySetting_HoldsTheModel(params string[] setting)
    {
        string[] options = [.. setting.Where(s => s.StartsWith("--", StringComparison.Ordinal))];
        string[] parameters = [.. setting.Where(s => !s.StartsWith("--", StringComparison.Ordinal))];
        await using var server = await NbdPeer.StartAsync([.. options, "memory", "1M", .. parameters]);
        await using var backend = await server.ConnectAsync();
        var runner = new BackendModelRunner(backend, seed: 5);
        await runner.RunConcurrentAsync(workers: 4, stepsEach: 25);
    }

    /// <summary>Reading and writing: in the old style nbdkit offers flush, trim and zero, and refuses each as not supported.</summary>
    [RequiresFact("nbdkit")]
    public async Task OldStyle_ReadsAndWrites()
    {
        await using var server = await NbdPeer.StartAsync("--oldstyle", "memory", "1M");
        await using var backend = await server.ConnectAsync();
        byte[] data = BackendModel.Bytes(1, 500_000);
        await backend.WriteAsync(777, data);
        byte[] back = new byte[data.Length];
        await backend.ReadAsync(777, back);
        Assert.Equal(data, back);
        await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
    }

    [RequiresTheory("nbdkit")]
    [InlineData("error")]
    [InlineData("allow")]
    public async Task BlockSizePolicy_IsHonouredForAnyRequest(string policy)
    {
        await using var server = await NbdPeer.StartAsync(
            "--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=4K", "blocksize-preferred=64K", "blocksize-maximum=128K", $"blocksize-error-policy={policy}");
        await using (var client = await server.ConnectAsync())
        {
            Assert.Equal(4096, client.BlockSizes.Minimum);
            Assert.Equal(65_536, client.BlockSizes.Preferred);
            var error = await Assert.ThrowsAsync<BackendException>(async () => await client.ReadAsync(1, new byte[4096]));
            Assert.Equal(BackendError.Invalid, error.Error);
        }

        await using var backend = await Registry.OpenAsync($"nbd+unix:///?socket={server.Socket}");
        await new BackendModelRunner(backend, seed: 3).RunConcurrentAsync(workers: 4, stepsEach: 50);
    }

    [RequiresFact("nbdkit")]
    public async Task ErrorsOfTheServer_AreErrors_AndNeverOtherBytes()
    {
        await using var server = await NbdPeer.StartAsync("--filter=error", "pattern", "size=64M", "error-pread=EIO", "error-pread-rate=10%");
        await using var backend = await server.ConnectAsync();
        int failures = 0;
        for (int round = 0; round < 20; round++)
        {
            var buffers = Enumerable.Range(0, 32).Select(_ => new byte[4096]).ToArray();
            var calls = buffers.Select((b, i) => Record.ExceptionAsync(async () => await backend.ReadAsync(((round * 32) + i) * 65_536, b))).ToArray();
            for (int i = 0; i < calls.Length; i++)
            {
                if (await calls[i] is { } error)
                {
                    failures++;
                    Assert.Equal(BackendError.InputOutput, Assert.IsType<BackendException>(error).Error);
                }
                else
                {
                    Assert.Equal(((round * 32) + i) * 65_536L, BinaryPrimitives.ReadInt64BigEndian(buffers[i]));
                }
            }
        }

        Assert.InRange(failures, 1, 639);
    }

    [RequiresFact("nbdkit")]
    public async Task ErrorThatIsSwitchedOn_FailsWritesAndFlushes_UntilItIsSwitchedOff()
    {
        await using var server = await NbdPeer.StartAsync(
            "--filter=error", "memory", "1M", "error=ENOSPC", "error-rate=100%", "error-file={dir}/trigger");
        await using var backend = await server.ConnectAsync();
        byte[] data = [1, 2, 3];
        await backend.WriteAsync(0, data);
        await File.WriteAllTextAsync(server["trigger"], "");
        Assert.Equal(BackendError.NoSpace, (await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(0, data))).Error);
        File.Delete(server["trigger"]);
        await backend.WriteAsync(0, data);
        await backend.FlushAsync();
        byte[] back = new byte[3];
        await backend.ReadAsync(0, back);
        Assert.Equal(data, back);
    }

    [RequiresFact("nbdkit")]
    public async Task ServerThatLeaves_FailsCallsInTime()
    {
        await using var server = await NbdPeer.StartAsync("--filter=exitwhen", "memory", "1M", "exit-when-file-created={dir}/leave", "exit-when-poll=1");
        await using var backend = await NbdClientBackend.ConnectAsync(
            server.Options with { ReconnectTimeout = TimeSpan.FromMilliseconds(500), RequestTimeout = TimeSpan.FromSeconds(2) });
        await backend.ReadAsync(0, new byte[1]);
        await server.KillAsync();
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[1]));
        Assert.True(error.IsTransient, $"{error}");
    }

    [RequiresFact("nbdkit")]
    public async Task SlowServer_TimesOut_AndLaterAnswersDoNoHarm()
    {
        await using var server = await NbdPeer.StartAsync("--filter=delay", "pattern", "size=1M", "rdelay=800ms");
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { RequestTimeout = TimeSpan.FromMilliseconds(200) });
        byte[] buffer = new byte[4096];
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(4096, buffer));
        Assert.Equal(BackendError.TimedOut, error.Error);
        Assert.True(error.IsTransient);
        await Task.Delay(1200);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
    }

    [RequiresFact("nbdkit")]
    public async Task Inspect_TellsWhatIsThere()
    {
        await using var server = await NbdPeer.StartAsync("--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=512", "blocksize-preferred=4K", "blocksize-maximum=1M");
        var details = await Nbd.Client.NbdClient.InspectAsync(server.Options);
        Assert.Equal("newstyle-fixed", details.Protocol);
        Assert.True(details.StructuredReplies);
        Assert.False(details.IsEncrypted);
        var export = Assert.Single(details.Exports);
        Assert.Equal(1 << 20, export.Size);
        Assert.True(export.CanFlush && export.CanTrim && export.CanZero && export.CanMultiConnection && !export.IsReadOnly);
        Assert.Equal((512, 4096, 1u << 20), (export.MinimumBlockSize, export.PreferredBlockSize, export.MaximumBlockSize));
        Assert.Contains("base:allocation", export.Contexts);
        Assert.Equal("", Assert.Single(await Nbd.Client.NbdClient.ListExportsAsync(server.Options)).Name);
    }

    [RequiresFact("nbdkit")]
    public async Task Inspect_OfOlderStyles_TellsTheSize()
    {
        foreach (var (option, style) in new[] { ("--oldstyle", "oldstyle"), ("--mask-handshake=0", "newstyle") })
        {
            await using var server = await NbdPeer.StartAsync(option, "memory", "1M");
            var details = await Nbd.Client.NbdClient.InspectAsync(server.Options);
            Assert.Equal(style, details.Protocol);
            Assert.Equal(1 << 20, Assert.Single(details.Exports).Size);
        }
    }
}
