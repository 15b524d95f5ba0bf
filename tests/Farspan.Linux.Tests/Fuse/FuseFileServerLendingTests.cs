using Farspan.Backends;
using Farspan.Linux.Fuse.Protocol;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class FuseFileServerLendingTests
{
    [Fact(Timeout = 120_000)]
    public Task LentPieces_AreSentInOrder_AndGivenBackOnce()
    {
        var lender = new Lender(refuseFrom: int.MaxValue);
        using var rig = new ServerRig(new ScriptedBackend(1000) { Powers = [lender], Read = static (_, _, _) => throw new InvalidOperationException("must not be read") });
        rig.Send(FuseOpcode.READ, new FuseReadIn { offset = 3, size = 50 });
        Assert.Equal(Enumerable.Range(3, 50).Select(i => (byte)i), rig.Channel.LastPayload);
        Assert.Equal(lender.Lent, lender.Returned);
        Assert.Equal(8, lender.Lent.Count);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0, 50)]
    [InlineData(20, 50)]
    [InlineData(int.MaxValue, 900)]
    public Task RangeThatIsNotLentWhole_IsRead_AndLoansAreGivenBack(int refuseFrom, int size)
    {
        var lender = new Lender(refuseFrom);
        using var rig = new ServerRig(new ScriptedBackend(1000)
        {
            Powers = [lender],
            Read = static (_, buffer, _) =>
            {
                buffer.Span.Fill(0xEE);
                return ValueTask.CompletedTask;
            },
        });
        rig.Send(FuseOpcode.READ, new FuseReadIn { offset = 0, size = (uint)size });
        Assert.Equal(Enumerable.Repeat((byte)0xEE, size), rig.Channel.LastPayload);
        Assert.Equal(lender.Lent, lender.Returned);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task RequestsThatCompleteAtOnce_AllocateNothing()
    {
        await using var memory = new MemoryBackend(1 << 20);
        using var rig = new ServerRig(memory);
        rig.Channel.IsDeaf = true;
        long allocated = 0;
        for (int round = 0; round < 3; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 20_000; i++)
            {
                rig.Send(FuseOpcode.READ, new FuseReadIn { offset = (ulong)(i % 64) * 4096, size = 4096 });
                rig.Send(FuseOpcode.WRITE, new FuseWriteIn { offset = (ulong)(i % 64) * 4096, size = 8 }, "somebyte"u8);
                rig.Send(FuseOpcode.FSYNC, 16);
                rig.Send(FuseOpcode.GETATTR, 16);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
    }

    /// <summary>Lends seven bytes at a time, each of which holds its own offset.</summary>
    private sealed class Lender(int refuseFrom) : IMemoryLender, ILoan
    {
        private readonly byte[] _bytes = [.. Enumerable.Range(0, 1000).Select(i => (byte)i)];

        public SortedSet<long> Lent { get; } = [];

        public SortedSet<long> Returned { get; } = [];

        public bool TryLend(long offset, int length, out LentMemory lent)
        {
            lent = default;
            if (offset >= refuseFrom)
                return false;
            Assert.True(Lent.Add(offset));
            lent = new LentMemory(_bytes.AsMemory((int)offset, Math.Min(length, 7)), this, offset);
            return true;
        }

        public void Return(long ticket) => Assert.True(Returned.Add(ticket));
    }
}
