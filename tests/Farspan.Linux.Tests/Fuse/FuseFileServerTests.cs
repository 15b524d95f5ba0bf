using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Fuse.Protocol;
using Farspan.Linux.Interop;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class FuseFileServerTests
{
    private const int Length = 10_000;

    [Fact(Timeout = 120_000)]
    public async Task Init_OfTheUsualKernel_GrantsOnlyWhatIsOfferedAndWanted()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        Assert.True(rig.Send(FuseOpcode.INIT, Offer(7, 45, uint.MaxValue & ~(uint)FuseInitFlags.ASYNC_DIO)));
        var reply = rig.Channel.LastStruct<FuseInitOut>();
        Assert.Equal((7u, 38u, 1u << 20, (ushort)256, (ushort)48, (ushort)36), (reply.major, reply.minor, reply.max_write, reply.max_pages, reply.max_background, reply.congestion_threshold));
        Assert.Equal(
            FuseInitFlags.ASYNC_READ | FuseInitFlags.BIG_WRITES | FuseInitFlags.PARALLEL_DIROPS | FuseInitFlags.ABORT_ERROR | FuseInitFlags.MAX_PAGES | FuseInitFlags.EXPLICIT_INVAL_DATA | FuseInitFlags.INIT_EXT,
            (FuseInitFlags)reply.flags);
        Assert.Equal(0u, reply.flags2);
        await rig.Server.Ready;
    }

    [Fact(Timeout = 120_000)]
    public async Task Init_OfAnOldKernel_IsRefusedWithItsVersion()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        rig.Send(FuseOpcode.INIT, Offer(7, 26, 0));
        Assert.Equal(Errno.EPROTO, rig.Channel.LastError);
        var error = await Assert.ThrowsAsync<NotSupportedException>(() => rig.Server.Ready);
        Assert.Contains("7.26", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public Task Init_OfANewerMajorVersion_IsAnsweredWithOurs()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        rig.Send(FuseOpcode.INIT, Offer(8, 1, 0));
        Assert.Equal(7u, rig.Channel.LastStruct<FuseInitOut>().major);
        Assert.False(rig.Server.Ready.IsCompleted);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task Read_AcrossTheEnd_IsClipped()
    {
        await using var memory = new MemoryBackend(Length);
        await memory.WriteAsync(Length - 3, new byte[] { 1, 2, 3 });
        using var rig = new ServerRig(memory);
        rig.Send(FuseOpcode.READ, new FuseReadIn { offset = Length - 3, size = 8192 });
        Assert.Equal([1, 2, 3], rig.Channel.LastPayload);
        rig.Send(FuseOpcode.READ, new FuseReadIn { offset = Length, size = 8192 });
        Assert.Empty(rig.Channel.LastPayload);
        rig.Send(FuseOpcode.READ, new FuseReadIn { offset = ulong.MaxValue - 5, size = uint.MaxValue });
        Assert.Empty(rig.Channel.LastPayload);
    }

    [Fact(Timeout = 120_000)]
    public async Task Write_AcrossTheEnd_IsShort_AndBehindItHasNoSpace()
    {
        await using var memory = new MemoryBackend(Length);
        using var rig = new ServerRig(memory);
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { offset = Length - 2, size = 5 }, [9, 8, 7, 6, 5]);
        Assert.Equal(2u, rig.Channel.LastStruct<FuseWriteOut>().size);
        byte[] end = new byte[2];
        await memory.ReadAsync(Length - 2, end);
        Assert.Equal([9, 8], end);
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { offset = Length, size = 1 }, [1]);
        Assert.Equal(Errno.ENOSPC, rig.Channel.LastError);
    }

    [Fact(Timeout = 120_000)]
    public Task Write_WithLessDataThanItSays_IsInvalid()
    {
        var backend = new ScriptedBackend(Length) { Write = static (_, _, _) => throw new InvalidOperationException("must not be called") };
        using var rig = new ServerRig(backend);
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { offset = 0, size = 6 }, [1, 2, 3, 4, 5]);
        Assert.Equal(Errno.EINVAL, rig.Channel.LastError);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData(BackendError.InputOutput, 5)]
    [InlineData(BackendError.NoSpace, 28)]
    [InlineData(BackendError.ReadOnly, 30)]
    [InlineData(BackendError.AccessDenied, 1)]
    [InlineData(BackendError.Disconnected, 5)]
    [InlineData(BackendError.TimedOut, 5)]
    [InlineData(BackendError.Corrupt, 5)]
    [InlineData(BackendError.NotSupported, 95)]
    public async Task BackendError_BecomesItsErrno_NowAndLater(BackendError error, int errno)
    {
        var later = new TaskCompletionSource();
        var backend = new ScriptedBackend(Length) { Read = (_, _, _) => throw new BackendException(error, "x"), Flush = _ => new ValueTask(later.Task) };
        using var rig = new ServerRig(backend);
        Assert.True(rig.Send(FuseOpcode.READ, new FuseReadIn { size = 10 }));
        Assert.Equal(-errno, rig.Channel.LastHeader.error);
        Assert.False(rig.Send(FuseOpcode.FSYNC, 16));
        Assert.Equal(1, rig.Channel.Count);
        later.SetException(new BackendException(error, "x"));
        await WaitForReleaseAsync(rig);
        Assert.Equal(2, rig.Channel.Count);
        Assert.Equal(-errno, rig.Channel.LastHeader.error);
    }

    [Fact(Timeout = 120_000)]
    public async Task ForeignException_BecomesAnIoError_AndServiceGoesOn()
    {
        var backend = new ScriptedBackend(Length) { Write = static (_, _, _) => throw new InvalidOperationException("a bug") };
        using var rig = new ServerRig(backend);
        Assert.True(rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1 }, [1]));
        Assert.Equal(Errno.EIO, rig.Channel.LastError);
        Assert.True(rig.Send(FuseOpcode.GETATTR));
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
        await Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task SlowRead_IsAnsweredFromItsCompletion_WithTheBytes()
    {
        var later = new TaskCompletionSource();
        var backend = new ScriptedBackend(Length)
        {
            Read = async (_, buffer, _) =>
            {
                await later.Task;
                buffer.Span.Fill(0x5A);
            },
        };
        using var rig = new ServerRig(backend);
        Assert.False(rig.Send(FuseOpcode.READ, new FuseReadIn { offset = 4096, size = 4096 }));
        Assert.Empty(rig.Released);
        later.SetResult();
        await WaitForReleaseAsync(rig);
        Assert.Equal(Enumerable.Repeat((byte)0x5A, 4096), rig.Channel.LastPayload);
        Assert.Equal(101ul, rig.Channel.LastHeader.unique);
    }

    [Fact(Timeout = 120_000)]
    public async Task Cancel_OfAWaitingRequest_AnswersInterrupted_AndTheNextRequestIsNotCancelled()
    {
        var seen = new List<CancellationToken>();
        var backend = new ScriptedBackend(Length)
        {
            Read = (_, _, token) =>
            {
                seen.Add(token);
                return seen.Count == 1 ? new ValueTask(Task.Delay(Timeout.Infinite, token)) : ValueTask.CompletedTask;
            },
        };
        using var rig = new ServerRig(backend);
        Assert.False(rig.Send(FuseOpcode.READ, new FuseReadIn { size = 10 }));
        Assert.False(rig.Request.TryInterrupt(55));
        rig.Request.IsDying = _ => false;
        Assert.True(rig.Request.TryInterrupt(101));
        Assert.False(seen[0].IsCancellationRequested);
        rig.Request.IsDying = _ => true;
        Assert.True(rig.Request.TryInterrupt(101));
        await WaitForReleaseAsync(rig);
        Assert.Equal(Errno.EINTR, rig.Channel.LastError);
        Assert.True(rig.Send(FuseOpcode.READ, new FuseReadIn { size = 10 }));
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
        Assert.False(seen[1].IsCancellationRequested);
        Assert.True(rig.Request.TryInterrupt(102));
        Assert.False(seen[1].IsCancellationRequested);
    }

    [Fact(Timeout = 120_000)]
    public async Task Interrupt_ThatComesBeforeTheOperationWaits_CancelsItWhenItDoes()
    {
        ServerRig? rig = null;
        var backend = new ScriptedBackend(Length)
        {
            Read = (_, _, token) =>
            {
                Assert.True(rig!.Request.TryInterrupt(101));
                return new ValueTask(Task.Delay(Timeout.Infinite, token));
            },
        };
        using (rig = new ServerRig(backend))
        {
            rig.Request.IsDying = _ => true;
            Assert.False(rig.Send(FuseOpcode.READ, new FuseReadIn { size = 10 }));
            await WaitForReleaseAsync(rig);
            Assert.Equal(Errno.EINTR, rig.Channel.LastError);
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public Task Interrupt_OfARequestThatIsNotKnown_IsAskedForAgain(bool isKnown, int replies)
    {
        ulong asked = 0;
        using var rig = new ServerRig(new ScriptedBackend(Length), interrupted: unique =>
        {
            asked = unique;
            return isKnown;
        });
        Assert.True(rig.Send(FuseOpcode.INTERRUPT, new FuseInterruptIn { unique = 42 }));
        Assert.Equal(42ul, asked);
        Assert.Equal(replies, rig.Channel.Count);
        if (replies > 0)
            Assert.Equal(Errno.EAGAIN, rig.Channel.LastError);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task ReadLongerThanTheBuffer_IsAnError_NotAShortAnswer()
    {
        using var rig = new ServerRig(new ScriptedBackend(4 << 20));
        rig.Send(FuseOpcode.READ, new FuseReadIn { size = (1 << 20) + 4096 });
        Assert.Equal(Errno.EIO, rig.Channel.LastError);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task SizeOfZero_IsPretendedOnce_ForAThreadThatOpens_AndRefusedOtherwise()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        Assert.Equal(Errno.EPERM, Truncate(5));
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_WRONLY }, threadId: 5);
        Assert.Equal(Errno.EPERM, Truncate(6));
        Assert.Equal(Errno.Ok, Truncate(5));
        Assert.Equal(Errno.EPERM, Truncate(5));
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_WRONLY }, threadId: 5);
        ulong handle = rig.Channel.LastStruct<FuseOpenOut>().fh;
        rig.Send(FuseOpcode.RELEASE, new FuseReleaseIn { fh = handle });
        Assert.Equal(Errno.EPERM, Truncate(5));
        return Task.CompletedTask;

        Errno Truncate(int threadId)
        {
            rig.Send(FuseOpcode.SETATTR, new FuseSetattrIn { valid = FuseProtocol.FATTR_SIZE, size = 0 }, threadId: threadId);
            return rig.Channel.LastError;
        }
    }

    [Fact(Timeout = 120_000)]
    public Task ReadOnly_RefusesEveryChange()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length), s => s with { IsReadOnly = true });
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1 }, [1]);
        Assert.Equal(Errno.EROFS, rig.Channel.LastError);
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_RDWR });
        Assert.Equal(Errno.EROFS, rig.Channel.LastError);
        rig.Send(FuseOpcode.SETATTR, new FuseSetattrIn { valid = FuseProtocol.FATTR_MODE, mode = 0x1FF });
        Assert.Equal(Errno.EROFS, rig.Channel.LastError);
        rig.Send(FuseOpcode.FALLOCATE, new FuseFallocateIn { length = 1, mode = 3 });
        Assert.Equal(Errno.EROFS, rig.Channel.LastError);
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_RDONLY });
        Assert.Equal(Errno.Ok, rig.Channel.LastError);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData(Length, true, true, 0)]
    [InlineData(0, false, true, 0)]
    [InlineData(0, false, false, 1)]
    [InlineData(0, true, true, 1)]
    [InlineData(Length - 1, false, true, 1)]
    [InlineData(Length + 1, false, true, 27)]
    [InlineData(Length + 1, true, true, 27)]
    public Task ChangeOfSize_IsAllowedOnlyWhereItChangesNothing(long size, bool hasHandle, bool ignoresOpenTruncation, int errno)
    {
        using var rig = new ServerRig(new ScriptedBackend(Length), s => s with { IgnoreOpenTruncation = ignoresOpenTruncation });
        uint valid = FuseProtocol.FATTR_SIZE | FuseProtocol.FATTR_MTIME_NOW | (hasHandle ? FuseProtocol.FATTR_FH : 0);
        rig.Send(FuseOpcode.OPEN, new FuseOpenIn { flags = Libc.O_WRONLY }, threadId: 5);
        rig.Send(FuseOpcode.SETATTR, new FuseSetattrIn { valid = valid, size = (ulong)size }, threadId: 5);
        Assert.Equal(-errno, rig.Channel.LastHeader.error);
        if (errno == 0)
            Assert.Equal((ulong)Length, rig.Channel.LastStruct<FuseAttrOut>().attr.size);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Attributes_SetBefore_AreShownAfterwards()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length));
        uint valid = FuseProtocol.FATTR_MODE | FuseProtocol.FATTR_UID | FuseProtocol.FATTR_GID | FuseProtocol.FATTR_MTIME | FuseProtocol.FATTR_ATIME;
        rig.Send(FuseOpcode.SETATTR, new FuseSetattrIn { valid = valid, mode = 0x8124, uid = 1, gid = 2, mtime = 1000, mtimensec = 500, atime = unchecked((ulong)-1L), atimensec = 100 });
        rig.Send(FuseOpcode.GETATTR, 16);
        var found = rig.Channel.LastStruct<FuseAttrOut>().attr;
        Assert.Equal((0x8124u, 1u, 2u, 1000ul, 500u, ulong.MaxValue, 100u), (found.mode, found.uid, found.gid, found.mtime, found.mtimensec, found.atime, found.atimensec));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task Flush_ClearsWhatWasWrittenBeforeIt_AndNothingWrittenMeanwhile()
    {
        var later = new TaskCompletionSource();
        using var rig = new ServerRig(new ScriptedBackend(Length) { Flush = _ => new ValueTask(later.Task) });
        Assert.False(rig.Writes.IsDirty);
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1 }, [1]);
        Assert.True(rig.Writes.IsDirty);
        var flush = rig.Writes.FlushAsync(CancellationToken.None).AsTask();
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1 }, [1]);
        later.SetResult();
        await flush;
        Assert.True(rig.Writes.IsDirty);
        await rig.Writes.FlushAsync(CancellationToken.None);
        Assert.False(rig.Writes.IsDirty);
    }

    [Fact(Timeout = 120_000)]
    public Task FailedWriteOfThePageCache_IsRemembered()
    {
        using var rig = new ServerRig(new ScriptedBackend(Length) { Write = static (_, _, _) => throw new BackendException(BackendError.NoSpace, "full") });
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1 }, [1]);
        Assert.Equal(0, rig.Writes.LostWrites.Count);
        rig.Send(FuseOpcode.WRITE, new FuseWriteIn { size = 1, write_flags = FuseProtocol.FUSE_WRITE_CACHE }, [1]);
        Assert.Equal(1, rig.Writes.LostWrites.Count);
        Assert.Equal("full", rig.Writes.LostWrites.First!.Message);
        return Task.CompletedTask;
    }

    internal static FuseInitIn Offer(uint major, uint minor, uint flags) => new() { major = major, minor = minor, max_readahead = 131072, flags = flags, flags2 = uint.MaxValue };

    internal static async Task WaitForReleaseAsync(ServerRig rig)
    {
        while (rig.Released.IsEmpty)
            await Task.Delay(1);
    }
}
