using Farspan.Linux.Userfaults.Agents;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults.Agents;

/// <summary>The bytes of docs/wire/uffd-agent.md.</summary>
public sealed class AgentCodecTests
{
    [Fact(Timeout = 120_000)]
    public Task Messages_HaveTheBytesOfTheirPage()
    {
        Check("46 53 75 61 02 80 06 00 78 56 34 12 05 00 00 00", AgentHeader.Size, new AgentHeader(AgentMessage.Map | AgentMessage.Reply, AgentStatus.Failed, 0x12345678, 5).Write);
        Check("01 00 02 00 00 00 00 00", AgentHello.Size, new AgentHello(1, 2).Write);
        Check(
            "01 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 10 00 00 00 00 00 00 00 00 01 00 00 10 00 00",
            AgentWelcome.Size,
            new AgentWelcome(IsReadOnly: true, 1L << 32, 4096, 65536, 4096).Write);
        Check(
            "00 00 34 12 00 7F 00 00 00 10 00 00 00 00 00 00 88 13 00 00 00 00 00 00 01 00 00 00 00 00 00 00",
            AgentMapping.Size,
            new AgentMapping(0x7F0012340000, 4096, 5000, IsWritable: true).Write);
        Check("07 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00", AgentRange.Size, new AgentRange(7, 8).Write);
        Check(
            string.Join(' ', Enumerable.Range(1, 7).Select(n => $"0{n} 00 00 00 00 00 00 00")), AgentFigures.Size, new AgentFigures(1, 2, 3, 4, 5, 6, 7).Write);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Written_IsReadBack()
    {
        byte[] bytes = new byte[64];
        var random = new Random(1);
        for (int round = 0; round < 1000; round++)
        {
            var header = new AgentHeader((AgentMessage)random.Next(1 << 16), (AgentStatus)random.Next(1 << 16), (uint)random.Next(), random.Next(AgentHeader.LongestBody + 1));
            header.Write(bytes);
            Assert.True(AgentHeader.TryRead(bytes, out var readHeader) && readHeader == header);
            var mapping = new AgentMapping((ulong)random.NextInt64(), random.NextInt64(), random.NextInt64(), random.Next(2) == 0);
            mapping.Write(bytes);
            Assert.True(AgentMapping.TryRead(bytes.AsSpan(0, AgentMapping.Size), out var readMapping) && readMapping == mapping);
            var welcome = new AgentWelcome(random.Next(2) == 0, random.NextInt64(), random.NextInt64(), random.Next(1, int.MaxValue), 4096);
            welcome.Write(bytes);
            Assert.True(AgentWelcome.TryRead(bytes.AsSpan(0, AgentWelcome.Size), out var readWelcome) && readWelcome == welcome);
            var figures = new AgentFigures(random.NextInt64(), 2, 3, random.NextInt64(), 5, 6, random.NextInt64());
            figures.Write(bytes);
            Assert.True(AgentFigures.TryRead(bytes.AsSpan(0, AgentFigures.Size), out var readFigures) && readFigures == figures);
        }

        return Task.CompletedTask;
    }

    // Whatever comes, it is a request of the right form or one line of text, and never an exception; what is taken for its body is bounded.
    [Fact(Timeout = 120_000)]
    public Task AnyBytes_AreARequestOrOneLine()
    {
        long cases = long.TryParse(Environment.GetEnvironmentVariable("FARSPAN_FUZZ_CASES"), out long told) ? told : 200_000;
        var random = new Random(2);
        byte[] bytes = new byte[AgentHeader.Size + AgentHeader.LongestBody];
        int requests = 0;
        for (long i = 0; i < cases; i++)
        {
            random.NextBytes(bytes);
            if (random.Next(8) > 0)
                "FSua"u8.CopyTo(bytes);
            if (random.Next(4) > 0)
                new AgentHeader((AgentMessage)random.Next(10), AgentStatus.Done, 1, Length(random)).Write(bytes);
            for (int change = random.Next(3); change > 0; change--)
                bytes[random.Next(48)] = (byte)random.Next(3);
            if (random.Next(2) == 0)
                bytes.AsSpan(AgentHeader.Size + 2, random.Next(30)).Clear();
            string? wrong = AgentRequest.Check(bytes, out var header);
            if (wrong is null)
            {
                Assert.InRange(header.BodyLength, 0, AgentMapping.Size);
                int descriptors = random.Next(4);
                wrong = AgentRequest.Read(header, bytes.AsSpan(AgentHeader.Size, header.BodyLength), descriptors, out var request);
                if (wrong is null)
                {
                    requests++;
                    Assert.Equal(request.Message == AgentMessage.Map ? 2 : 0, descriptors);
                    Assert.Equal(header.BodyLength, AgentRequest.BodyOf(request.Message));
                }
            }

            Assert.True(wrong is null || wrong.Length is > 0 and < 200 && !wrong.Contains('\n', StringComparison.Ordinal), wrong);
        }

        Assert.True(requests > cases / 200, $"{requests} of {cases}");
        return Task.CompletedTask;
    }

    private static int Length(Random random) => random.Next(3) switch
    {
        0 => AgentRequest.BodyOf((AgentMessage)random.Next(7)) ?? 0,
        1 => random.Next(AgentHeader.LongestBody),
        _ => random.Next(),
    };

    private delegate void Writer(Span<byte> to);

    private static void Check(string expected, int size, Writer write)
    {
        byte[] bytes = new byte[size];
        write(bytes);
        Assert.Equal(expected, BitConverter.ToString(bytes).Replace('-', ' '));
    }
}
