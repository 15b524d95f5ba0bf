using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>The kernel is trusted, but a wrong assumption about it must not cost more than one request.</summary>
public sealed class FuseFileServerHostileTests
{
    private static readonly FuseOpcode[] s_unanswered = [FuseOpcode.FORGET, FuseOpcode.BATCH_FORGET, FuseOpcode.INTERRUPT];

    [Theory(Timeout = 120_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RandomRequests_AreAnsweredExactlyOnce(bool isDirectory)
    {
        await using var memory = new MemoryBackend(10_000);
        using var rig = new ServerRig(memory, s => s with { FileName = isDirectory ? "export"u8.ToArray() : null });
        var random = new Random(20_26);
        byte[] noise = new byte[300];
        for (int i = 0; i < 50_000; i++)
        {
            random.NextBytes(noise);
            int bodyLength = random.Next(noise.Length);
            var opcode = (FuseOpcode)random.Next(0, 56);
            Fill(rig, noise.AsSpan(0, bodyLength), random.Next(3) == 0);
            int before = rig.Channel.Count;
            Assert.True(rig.Send(opcode, bodyLength, (ulong)random.Next(4)));
            int expected = s_unanswered.Contains(opcode) ? 0 : 1;
            Assert.True(rig.Channel.Count == before + expected, $"{opcode} with {bodyLength} bytes was answered {rig.Channel.Count - before} times.");
            if (expected == 0)
                continue;
            var header = rig.Channel.LastHeader;
            Assert.True(header.len == rig.Channel.Last.Length && header.error is <= 0 and > -512, $"{opcode}: {header.len}, {header.error}");
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0, 0)]
    [InlineData(39, 39)]
    [InlineData(40, 41)]
    [InlineData(48, 40)]
    public Task Header_ThatDoesNotFit_FailsTheReader(int length, int said)
    {
        using var rig = new ServerRig(new ScriptedBackend(1));
        rig.Request.Header = new FuseInHeader { len = (uint)said, opcode = (uint)FuseOpcode.GETATTR };
        Assert.Throws<InvalidDataException>(() => rig.Server.Handle(rig.Request, length));
        return Task.CompletedTask;
    }

    private static unsafe void Fill(ServerRig rig, ReadOnlySpan<byte> noise, bool isSmall)
    {
        var body = new Span<byte>(rig.Request.Body, noise.Length);
        noise.CopyTo(body);
        if (!isSmall)
            return;
        // Mostly zero, so that some requests get past the first checks.
        for (int i = 0; i < body.Length; i++)
            body[i] = i % 8 < 2 ? (byte)(body[i] & 0x1F) : (byte)0;
    }
}
