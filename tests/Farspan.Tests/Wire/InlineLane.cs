using Farspan.Backends;
using Farspan.TestKit.Transports;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>
/// A client's connection that reads, on the caller's thread, what a server has said once and for all. Four requests are on the way: reads of
/// 4 KiB and of 70,000 bytes, extents of 1 MiB, a flush.
/// </summary>
internal sealed class InlineLane : IDisposable
{
    private const uint FirstId = 1 << 11;

    private readonly WireLink _link;
    private readonly WireLane _lane;
    private readonly ArrayChannel _channel = new();
    private readonly WireAnswer _extents = new() { ExtentLimit = 16 };
    private readonly List<ValueTask> _tasks = [];
    private readonly List<Exception?> _failures = [];

    public InlineLane(ReadOnlyMemory<byte> answers, bool hasChecksums, int largestReceive = int.MaxValue)
    {
        var options = new FarspanClientOptions { Endpoint = StreamEndpoint.Unix("/none") };
        var hello = WireMessages.Description(hasChecksums);
        _channel.Reset(answers);
        _channel.LargestReceive = largestReceive;
        _channel.Output = null;
        _link = new WireLink(options, hello, Guid.NewGuid());
        _lane = new WireLane(_link, _channel, hello, 4);
        _link.TrySetUp([_lane]);
        Submit(WireOperation.Read, 4096, request => request.Target = Short);
        Submit(WireOperation.Read, 70_000, request => request.Target = Long);
        Submit(WireOperation.Extents, 1 << 20, request => request.Answer = _extents);
        Submit(WireOperation.Flush, 0, static _ => { });
    }

    public byte[] Short { get; } = new byte[4096];

    public byte[] Long { get; } = new byte[70_000];

    /// <summary>How each of the four ended; null for success.</summary>
    public IReadOnlyList<Exception?> Failures => _failures;

    public IReadOnlyList<Extent> Extents => _extents.Extents;

    /// <summary>Right answers to the four, one after the other; the flush fails.</summary>
    public static IReadOnlyList<byte[]> Answers(byte[] shortBytes, byte[] longBytes)
    {
        byte[] extents = new byte[2 * ExtentRecord.Size];
        new ExtentRecord(4096, ExtentKind.Data).Write(extents);
        new ExtentRecord((1 << 20) - 4096, ExtentKind.Zero).Write(extents.AsSpan(ExtentRecord.Size));
        return
        [
            WireMessages.Reply(WireOperation.Read, FirstId, shortBytes),
            WireMessages.Reply(WireOperation.Read, FirstId | 1, longBytes),
            WireMessages.Reply(WireOperation.Extents, FirstId | 2, extents),
            WireMessages.Reply(WireOperation.Flush, FirstId | 3, "no space"u8.ToArray(), WireStatus.NoSpace),
        ];
    }

    /// <summary>Reads to the end, and ends the connection; all four have ended then.</summary>
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
        foreach (var task in _tasks)
        {
            Assert.True(task.IsCompleted);
            try
            {
                task.GetAwaiter().GetResult();
                _failures.Add(null);
            }
            catch (BackendException error)
            {
                _failures.Add(error);
            }
        }
    }

    public void Dispose() => _channel.Dispose();

    private void Submit(WireOperation operation, long length, Action<WireRequest> prepare)
    {
        var request = _link.Rent();
        request.Prepare(operation, 0, length, epoch: 0, (ushort)(operation == WireOperation.Extents ? 16 : 0));
        prepare(request);
        _tasks.Add(_link.Submit(request, CancellationToken.None));
    }
}
