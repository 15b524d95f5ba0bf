using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Transports;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>
/// As <see cref="InlineLane"/>, of a region that is being moved: a short read, a long one that comes packed and one that does not, a hand-over and a
/// page of its list are on the way.
/// </summary>
internal sealed class InlineMoves : IDisposable
{
    private const uint FirstId = 1 << 11;
    private const int Flags = PackedBytes.ZeroFlag | PackedBytes.CompressFlag;
    private const long ChunkCount = PatternSeeder.Length / PatternSeeder.ChunkSize;

    private static readonly (int Offset, int Length)[] Reads = [(0, 30_000), (0, 500_000), (20_000, 20_000)];

    private readonly WireLink _link;
    private readonly WireLane _lane;
    private readonly ArrayChannel _channel = new();
    private readonly List<(ValueTask Task, Func<bool> Take)> _calls = [];

    public InlineMoves(ReadOnlyMemory<byte> answers, bool hasChecksums, int largestReceive)
    {
        var hello = WireMessages.Region(hasChecksums);
        _channel.Reset(answers);
        _channel.LargestReceive = largestReceive;
        _channel.Output = null;
        _link = new WireLink(new FarspanClientOptions { Endpoint = StreamEndpoint.Unix("/none") }, hello, Guid.NewGuid());
        _lane = new WireLane(_link, _channel, hello, 8);
        _link.TrySetUp([_lane]);
        foreach (var (offset, length) in Reads)
            Read(offset, length);
        var reply = new WireAnswer { LeastPayload = MoveReply.Size, MostPayload = MoveReply.Longest };
        Submit(WireOperation.MigrateFinalize, 0, 0, default, reply, () =>
        {
            bool isRight = MoveReply.TryRead(reply.Payload, ChunkCount, out var yours, out var page);
            IsTrue &= !isRight || (yours.Answer == SeederAnswer.Yours && page!.Runs.SequenceEqual(PatternSeeder.Page.Runs));
            return isRight;
        });
        var list = new WireAnswer { LeastPayload = MovePage.SizeOf(0), MostPayload = MovePage.SizeOf(200) };
        Submit(WireOperation.MigrateList, 0, 200, default, list, () =>
        {
            bool isRight = MovePage.TryRead(list.Payload, 0, ChunkCount, 200, out var page);
            IsTrue &= !isRight || page!.Runs.SequenceEqual(PatternSeeder.Page.Runs);
            return isRight;
        });
    }

    /// <summary>How many of the five have come.</summary>
    public int Succeeded { get; private set; }

    /// <summary>Whether all that came is what was sent.</summary>
    public bool IsTrue { get; private set; } = true;

    public static IReadOnlyList<byte[]> Answers()
    {
        var payloads = Reads.Select(static read =>
        {
            byte[] bytes = PatternSeeder.Bytes[read.Offset..(read.Offset + read.Length)];
            return bytes[..PackedBytes.Pack(bytes, Flags, PatternSeeder.ChunkSize)];
        }).ToArray();
        var yours = new SeederReply(SeederAnswer.Yours, PatternSeeder.Token, 2, 0, 1, IsExact: true);
        return
        [
            .. payloads.Select(static (payload, i) => WireMessages.Reply(WireOperation.MigrateRead, FirstId | (uint)i, payload)),
            WireMessages.Reply(WireOperation.MigrateFinalize, FirstId | 3, MoveReply.ToBytes(yours, PatternSeeder.Page)),
            WireMessages.Reply(WireOperation.MigrateList, FirstId | 4, MovePage.ToBytes(PatternSeeder.Page)),
        ];
    }

    /// <summary>Reads to the end, and ends the connection; all have ended then.</summary>
    public void Run()
    {
        BackendException failure;
        try
        {
            new LaneReader(_lane, _channel).Run();
            failure = new BackendException(BackendError.Disconnected, "The end.");
        }
        catch (IOException error)
        {
            failure = error as BackendException ?? new BackendException(BackendError.Disconnected, error.Message, error);
        }

        _lane.Fail(failure);
        _link.FailWaiting(failure);
        foreach (var (task, take) in _calls)
        {
            Assert.True(task.IsCompleted);
            try
            {
                task.GetAwaiter().GetResult();
                Succeeded += take() ? 1 : 0;
            }
            catch (BackendException)
            {
                // As it should be.
            }
        }
    }

    public void Dispose() => _channel.Dispose();

    private void Read(int offset, int length)
    {
        byte[] target = new byte[length];
        var answer = new WireAnswer { LeastPayload = PackedBytes.LeastSize, MostPayload = length };
        Submit(WireOperation.MigrateRead, offset, length, target, answer, () =>
        {
            bool isRight = !answer.IsRefused && (!answer.HasPayload || PackedBytes.TryUnpack(answer.Payload, target, Flags));
            IsTrue &= !isRight || target.AsSpan().SequenceEqual(PatternSeeder.Bytes.AsSpan(offset, length));
            return isRight;
        });
    }

    private void Submit(WireOperation operation, long offset, long length, Memory<byte> target, WireAnswer answer, Func<bool> take)
    {
        var request = _link.Rent();
        request.Prepare(operation, offset, length, epoch: 0);
        request.Payload = MoveRequest.ToBytes(PatternSeeder.Session);
        request.Target = target;
        request.Answer = answer;
        request.FailsOnLoss = true;
        _calls.Add((_link.Submit(request, CancellationToken.None), () =>
        {
            bool isRight = take();
            answer.Return();
            return isRight;
        }));
    }
}
