using System.Text;
using Farspan.Chunks;
using Farspan.Mounts.Tracing;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Mounts.Tracing;

public sealed class PullTraceTests
{
    private const string Golden = "farspan-trace 1\nlength 1000000\nchunk 65536\nr 3 2\nw 15 1\nr 0 1\nend 3 ";

    [Fact]
    public void File_HasItsBytes()
        => Assert.Equal(Golden + "5f492060\n", Encoding.ASCII.GetString(PullTraceText.Write(Trace())));

    [Fact]
    public void WhatIsSaved_IsLoaded()
    {
        using var directory = new TemporaryDirectory();
        Trace().Save(directory["trace"]);
        Trace().Save(directory["trace"]);
        var back = PullTrace.Load(directory["trace"], 1_000_000);
        Assert.Equal((Trace().Layout, 4L), (back.Layout, back.TouchedCount));
        Assert.Equal(Trace().Runs, back.Runs);
        Assert.Equal([directory["trace"]], Directory.GetFiles(directory.Path));
    }

    [Fact]
    public void Ranges_EndWhereTheRegionEnds()
        => Assert.Equal([(3L << 16, 2L << 16), (15L << 16, 1_000_000 - (15L << 16)), (0, 65536)], Trace().Ranges);

    [Fact]
    public void Order_IsThatOfTheTrace_ThenTheRest()
        => Assert.Equal([(3, 2), (15, 1), (0, 1)], Trace().Order.Runs(new ChunkLayout(1_000_000, 65536)).Take(3));

    [Fact]
    public void TraceOfAnotherLength_IsRefused()
    {
        using var directory = new TemporaryDirectory();
        Trace().Save(directory["trace"]);
        var error = Assert.Throws<FormatException>(() => PullTrace.Load(directory["trace"], 999_999));
        Assert.Contains("1000000 bytes; this one has 999999", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryDamagedByte_AndEveryCut_IsNoticed()
    {
        byte[] good = PullTraceText.Write(Trace());
        for (int i = 0; i < good.Length; i++)
        {
            Assert.Throws<FormatException>(() => PullTraceText.Read(good.AsSpan(0, i)));
            foreach (byte bit in new byte[] { 1, 2, 4, 8, 16, 64, 128 })
            {
                byte[] bad = [.. good];
                bad[i] ^= bit;
                Assert.Throws<FormatException>(() => PullTraceText.Read(bad));
            }
        }

        Assert.Throws<FormatException>(() => PullTraceText.Read([.. good, (byte)'\n']));
    }

    [Theory]
    [InlineData("r 16 1", "not all inside")]
    [InlineData("r 0 17", "not all inside")]
    [InlineData("r 0 0", "not all inside")]
    [InlineData("r 0 9223372036854775807", "not all inside")]
    [InlineData("r 0 10\nw 0 7", "touched first")]
    [InlineData("x 0 1", "line 4")]
    [InlineData("r 0", "line 4")]
    [InlineData("r -1 1", "line 4")]
    [InlineData("r 1  1", "line 4")]
    public void RunsThatCannotBe_AreRefused(string lines, string why)
    {
        string text = $"farspan-trace 1\nlength 1000000\nchunk 65536\n{lines}\n";
        text += $"end {lines.Count(c => c == '\n') + 1} {Farspan.Checksums.Crc32C.Compute(Encoding.ASCII.GetBytes(text)):x8}\n";
        var error = Assert.Throws<FormatException>(() => PullTraceText.Read(Encoding.ASCII.GetBytes(text)));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("farspan-trace 2\n", "later version")]
    [InlineData("#!/bin/sh\n", "no trace")]
    [InlineData("farspan-trace 1\nlength x\n", "line 2")]
    [InlineData("farspan-trace 1\nlength 5\nchunk\n", "line 3")]
    public void FileThatIsNoTrace_IsRefused_AndSaysWhy(string text, string why)
        => Assert.Contains(why, Assert.Throws<FormatException>(() => PullTraceText.Read(Encoding.ASCII.GetBytes(text))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("0")]
    [InlineData("1000")]
    [InlineData("65537")]
    [InlineData("4294967296")]
    public void ChunkSizeThatIsNone_IsRefused(string chunkSize)
    {
        string text = $"farspan-trace 1\nlength 1000000\nchunk {chunkSize}\n";
        text += $"end 0 {Farspan.Checksums.Crc32C.Compute(Encoding.ASCII.GetBytes(text)):x8}\n";
        Assert.Throws<FormatException>(() => PullTraceText.Read(Encoding.ASCII.GetBytes(text)));
    }

    private static PullTrace Trace() => new(1_000_000, 65536, [new(3, 2, false), new(15, 1, true), new(0, 1, false)]);
}
