using System.Buffers.Binary;
using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Tests.Fuzzing;
using Farspan.TestKit.Contracts;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>
/// What a hostile server may send, from seeds: valid streams, damaged. Each parser gets a million cases, or more by
/// FARSPAN_FUZZ_CASES; a failure names its seed.
/// </summary>
public sealed class ClientFuzzTests
{
    private const int TimeLimit = 3_600_000;
    private const ulong Cookie = 0x1234_5678;

    private static readonly long Cases = Mutator.Cases(1_000_000);

    [Fact(Timeout = TimeLimit)]
    public async Task Replies_NeverDoMoreThanFail()
    {
        long finished = 0;
        await RunAsync(Cases, () =>
        {
            var stream = new SwitchingStream();
            byte[] buffer = new byte[16 << 10];
            return seed =>
            {
                if (Reply(seed, stream, buffer))
                    Interlocked.Increment(ref finished);
            };
        });
        Assert.InRange(finished, Cases / 20, Cases - 1);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Negotiations_NeverDoMoreThanFail()
    {
        long agreed = 0;
        await RunAsync(Cases, () =>
        {
            var stream = new SwitchingStream();
            return seed =>
            {
                if (Negotiation(seed, stream))
                    Interlocked.Increment(ref agreed);
            };
        });
        Assert.InRange(agreed, Cases / 20, Cases - 1);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DamagedConnections_EndEveryCall()
    {
        int cases = (int)Math.Min(100_000, Math.Max(300, Cases / 3000));
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            var random = new Random(number);
            var script = new ServerScript { IsStructured = number % 3 == 1, IsExtended = number % 3 == 2, Context = 1 };
            await connection.NegotiateAsync(script);
            while (true)
            {
                var (request, _) = await connection.ReadRequestAsync();
                byte[] answer = ServerBytes.Answer(
                    request, BackendModel.Bytes(number, (int)Math.Min(request.Length, 5000)), NbdErrno.Ok, connection.IsStructured || connection.IsExtended, connection.IsExtended);
                Damage(random, ref answer);
                await connection.SendAsync(answer);
            }
        });
        var options = server.Options with { RequestTimeout = TimeSpan.FromMilliseconds(400), CloseTimeout = TimeSpan.FromMilliseconds(50) };
        await Parallel.ForEachAsync(Enumerable.Range(0, cases), new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (seed, token) =>
        {
            await using var backend = await NbdClientBackend.ConnectAsync(options, token);
            var calls = new List<Task>();
            for (int i = 0; i < 8; i++)
            {
                calls.Add((seed + i) % 4 == 0
                    ? backend.WriteAsync(i * 5000, new byte[700], token).AsTask()
                    : backend.ReadAsync(i * 5000, new byte[1 + (seed % 5000)], token).AsTask());
            }

            calls.Add(backend.FlushAsync(token).AsTask());
            foreach (var call in calls)
            {
                var error = await Record.ExceptionAsync(() => call);
                Assert.True(error is null or BackendException, $"Seed {seed}: {error}");
            }
        });
    }

    private static async Task RunAsync(long cases, Func<Action<int>> makeWorker)
    {
        long next = 0;
        await Task.WhenAll(Enumerable.Range(0, Math.Max(1, Environment.ProcessorCount)).Select(_ => Task.Run(() =>
        {
            var one = makeWorker();
            while (Interlocked.Increment(ref next) is var seed && seed <= cases)
            {
                try
                {
                    one((int)seed);
                }
                catch (Exception error)
                {
                    throw new InvalidOperationException($"Seed {seed} failed.", error);
                }
            }
        })));
    }

    /// <summary>One reply, damaged or not. Returns whether it was taken.</summary>
    private static bool Reply(int seed, SwitchingStream stream, byte[] buffer)
    {
        var random = new Random(seed);
        var command = random.Next(4) switch { 0 => NbdCommand.BlockStatus, 1 => NbdCommand.Write, _ => NbdCommand.Read };
        bool structured = random.Next(4) > 0;
        bool extended = structured && random.Next(2) == 0;
        long offset = random.Next(1 << 20);
        int length = 1 + random.Next(300);
        byte[] data = new byte[length];
        random.NextBytes(data);
        byte[] bytes = MakeReply(random, command, structured, extended, offset, data, out byte[] expected);
        bool isDamaged = random.Next(6) > 0;
        if (isDamaged)
            Damage(random, ref bytes);
        stream.Switch(bytes);
        var target = new RecordingTarget(Cookie, command, offset, length, extentLimit: 5);
        var reader = new ReplyReader(new WireReader(stream, buffer), target, ReplyReaderTests.Export(extended, structured));
        try
        {
            for (int i = 0; i < 20; i++)
                reader.ReadMessage();
        }
        catch (BackendException error)
        {
            Assert.Equal(BackendError.Protocol, error.Error);
        }
        catch (EndOfStreamException)
        {
        }

        Assert.Equal(0, target.Borrowed);
        if (target.Finished.Count == 0)
        {
            Assert.True(isDamaged);
            return false;
        }

        var slot = Assert.Single(target.Finished);
        if (!isDamaged && slot.Error == NbdErrno.Ok && command == NbdCommand.Read)
            Assert.Equal(expected, target.Buffer);
        CheckExtents(slot);
        return true;
    }

    /// <summary>What a caller may rely on whatever was sent.</summary>
    private static void CheckExtents(ReplySlot slot)
    {
        if (slot.Command != NbdCommand.BlockStatus || slot.Error != NbdErrno.Ok)
            return;
        Assert.InRange(slot.Extents.Count, 1, 5);
        long position = slot.Offset;
        foreach (var extent in slot.Extents)
        {
            Assert.Equal(position, extent.Offset);
            Assert.InRange(extent.Length, 1, slot.Offset + slot.Length - position);
            position += extent.Length;
        }
    }

    private static byte[] MakeReply(Random random, NbdCommand command, bool structured, bool extended, long offset, byte[] data, out byte[] expected)
    {
        expected = data;
        ulong? header = extended ? (ulong)offset : null;
        if (!structured)
            return command == NbdCommand.BlockStatus ? ServerBytes.Simple(Cookie, NbdErrno.Inval) : ServerBytes.Simple(Cookie, data: command == NbdCommand.Read ? data : []);
        if (random.Next(8) == 0)
            return ServerBytes.ErrorChunk(Cookie, NbdErrno.Io, "no", random.Next(2) == 0 ? (ulong)offset : null, extendedOffset: header);
        if (command == NbdCommand.Write)
            return ServerBytes.Chunk(Cookie, NbdChunkType.None, [], extendedOffset: header);
        if (command == NbdCommand.BlockStatus)
            return ServerBytes.StatusChunk(Cookie, 5, [.. Enumerable.Range(0, Math.Min(data.Length, 1 + random.Next(4))).Select(i => ((ulong)Math.Max(1, data.Length / 8), (ulong)i))], extendedOffset: header);
        int cut = random.Next(data.Length + 1);
        if (cut == 0 || cut == data.Length)
            return ServerBytes.DataChunk(Cookie, (ulong)offset, data, extendedOffset: header);
        byte[] first = ServerBytes.DataChunk(Cookie, (ulong)offset, data.AsSpan(0, cut), isDone: false, header);
        byte[] second = ServerBytes.DataChunk(Cookie, (ulong)(offset + cut), data.AsSpan(cut), isDone: false, header);
        byte[] last = ServerBytes.Chunk(Cookie, NbdChunkType.None, [], extendedOffset: header);
        return random.Next(2) == 0 ? [.. first, .. second, .. last] : [.. second, .. first, .. last];
    }

    /// <summary>One negotiation, damaged or not. Returns whether it came to an agreement.</summary>
    private static bool Negotiation(int seed, SwitchingStream stream)
    {
        var random = new Random(seed);
        byte[] bytes = [.. ClientHandshakeTests.Decent.SelectMany(m => m)];
        bool isDamaged = random.Next(8) > 0;
        if (isDamaged)
            Damage(random, ref bytes);
        stream.Switch(bytes);
        try
        {
            var export = ClientHandshake.Enter(new NbdTransport(stream, 0), new NbdClientOptions { Endpoint = StreamEndpoint.Tcp("localhost", 1) });
            Assert.True(export.Size >= 0);
            Assert.True(int.IsPow2(export.MinimumBlock) && export.MinimumBlock <= 65_536);
            Assert.True(int.IsPow2(export.PreferredBlock) && export.PreferredBlock >= export.MinimumBlock);
            Assert.True(export.MaximumBlock >= export.MinimumBlock);
            return true;
        }
        catch (BackendException)
        {
            Assert.True(isDamaged);
            return false;
        }
    }

    /// <summary>Changes, inserts, removes, repeats or cuts a little; numbers become those that break arithmetic.</summary>
    private static void Damage(Random random, ref byte[] bytes)
    {
        for (int rounds = random.Next(1, 4); rounds > 0 && bytes.Length > 0; rounds--)
        {
            int at = random.Next(bytes.Length);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2 when bytes.Length - at >= 8:
                    ReadOnlySpan<ulong> bad = [0, 1, ulong.MaxValue, long.MaxValue, 1UL << 63, 1UL << 32, uint.MaxValue, int.MaxValue];
                    BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(at), bad[random.Next(bad.Length)]);
                    break;
                case 3:
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(1, 9))..]];
                    break;
                case 4:
                    bytes = [.. bytes[..at], .. new byte[random.Next(1, 9)], .. bytes[at..]];
                    break;
                default:
                    bytes = random.Next(2) == 0 ? bytes[..at] : [.. bytes, .. bytes[at..]];
                    break;
            }
        }
    }

    /// <summary>A stream over one array after another.</summary>
    private sealed class SwitchingStream : Stream
    {
        private byte[] _bytes = [];
        private int _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _bytes.Length;

        public override long Position
        {
            get => _position;
            set => throw new NotSupportedException();
        }

        public void Switch(byte[] bytes)
        {
            _bytes = bytes;
            _position = 0;
        }

        public override int Read(Span<byte> buffer)
        {
            int count = Math.Min(buffer.Length, _bytes.Length - _position);
            _bytes.AsSpan(_position, count).CopyTo(buffer);
            _position += count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
