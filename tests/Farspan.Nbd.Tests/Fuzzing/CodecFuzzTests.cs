using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Farspan.Nbd.Tests.Server;
using Xunit;

namespace Farspan.Nbd.Tests.Fuzzing;

/// <summary>Every codec over random and changed bytes: no exception, and what is accepted writes itself back.</summary>
public sealed class CodecFuzzTests
{
    [Fact(Timeout = 600_000)]
    public async Task Codecs_RefuseOrRoundTrip()
    {
        await Task.Yield();
        byte[][] seeds =
        [
            CutTests.Stream(HeaderForm.Structured), CutTests.Stream(HeaderForm.Extended),
            ScriptedClient.InfoData("name", NbdInfo.BlockSize, NbdInfo.Name), ScriptedClient.ContextData("name", "base:allocation", "x-y:z"),
            Convert.FromHexString("00000001000010000000000000002000" + "00000003"), Convert.FromHexString("00000016000362616400000000000010"),
        ];
        var mutator = new Mutator(1);
        int cases = Mutator.Cases(400_000);
        for (int i = 0; i < cases; i++)
        {
            var seed = seeds[mutator.Next(seeds.Length)].AsSpan();
            seed = seed[mutator.Next(Math.Min(seed.Length, 100))..];
            byte[] bytes = i % 4 == 0 ? mutator.Bytes(64) : mutator.Mutate(seed[..Math.Min(seed.Length, 96)]);
            CheckFixed(bytes);
            CheckVariable(bytes);
        }
    }

    private static void CheckFixed(byte[] bytes)
    {
        byte[] back = new byte[64];
        foreach (bool extended in new[] { false, true })
        {
            if (RequestHeader.TryRead(bytes, extended, out var request))
                Check(bytes, back, extended ? 32 : 28, b => request.Write(b, extended));
            if (ChunkHeader.TryRead(bytes, extended, out var chunk))
                Check(bytes, back, extended ? 32 : 20, b => chunk.Write(b, extended));
            if (BlockStatusChunk.TryRead(bytes, extended, out var status))
                Assert.True(status.Count > 0 && status[status.Count - 1].Length > 0);
        }

        if (SimpleReplyHeader.TryRead(bytes, out var reply))
            Check(bytes, back, SimpleReplyHeader.Size, b => reply.Write(b));
        if (OptionHeader.TryRead(bytes, out var option))
            Check(bytes, back, OptionHeader.Size, b => option.Write(b));
        if (OptionReplyHeader.TryRead(bytes, out var optionReply))
            Check(bytes, back, OptionReplyHeader.Size, b => optionReply.Write(b));
        if (ServerGreeting.TryRead(bytes, out var greeting))
            Check(bytes, back, ServerGreeting.Size, b => greeting.Write(b));
        if (ExportSummary.TryRead(bytes, out var summary))
            Check(bytes, back, ExportSummary.Size, b => summary.Write(b));
        if (BlockSizeInfo.TryRead(bytes, out var sizes))
            Check(bytes, back, BlockSizeInfo.Size, b => sizes.Write(b));
        if (HoleChunk.TryRead(bytes, out var hole))
            Check(bytes, back, HoleChunk.Size, b => hole.Write(b));
    }

    private static void CheckVariable(byte[] bytes)
    {
        if (ExportInfoRequest.TryRead(bytes, out var info))
            Assert.Equal(bytes.Length, ExportInfoRequest.SizeOf(info.Name.Length, info.RequestCount));
        if (MetaContextRequest.TryRead(bytes, out var contexts))
        {
            var queries = contexts.Queries;
            for (int i = 0; i < contexts.QueryCount; i++)
                Assert.True(NbdFields.TryTakeText(ref queries, out _));
            Assert.Equal(0, queries.Length);
        }

        if (MetaContextReply.TryRead(bytes, out var context))
            Assert.Equal(bytes.Length - 4, context.Name.Length);
        if (ExportListing.TryRead(bytes, out var listing))
            Assert.Equal(bytes.Length, 4 + listing.Name.Length + listing.Description.Length);
        if (ErrorChunk.TryRead(bytes, hasOffset: true, out var error))
            Assert.True(error.Error != 0 && error.Message.Length <= bytes.Length - 14);
        if (BlockStatusFilter.TryRead(bytes, selected: 0b101, out _, out ulong named))
        {
            Assert.Equal(bytes.Length, BlockStatusFilter.FixedSize + (BlockStatusFilter.IdSize * System.Numerics.BitOperations.PopCount(named)));
            Assert.Equal(0UL, named & ~0b101UL);
        }
    }

    private static void Check(byte[] bytes, byte[] back, int size, Action<byte[]> write)
    {
        write(back);
        Assert.True(bytes.AsSpan(0, size).SequenceEqual(back.AsSpan(0, size)));
    }
}
