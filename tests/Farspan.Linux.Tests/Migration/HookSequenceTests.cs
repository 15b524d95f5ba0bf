using Farspan.Linux.Migration;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

public sealed class HookSequenceTests
{
    private static readonly HookSubject s_subject = new("/mnt/disk", Guid.NewGuid(), 1);
    private readonly List<string> _done = [];
    private string? _fails;

    [Fact]
    public async Task Resumption_IsInTheOrderBackwards()
    {
        var sequence = Sequence();
        await sequence.SuspendAsync(s_subject, CancellationToken.None);
        await sequence.ResumeAsync(s_subject, CancellationToken.None);
        Assert.Equal(["suspend 1", "suspend 2", "suspend 3", "resume 3", "resume 2", "resume 1"], _done);
    }

    [Fact]
    public async Task SuspensionThatFails_IsUndoneAsFarAsItWent()
    {
        var sequence = Sequence();
        _fails = "suspend 2";
        await Assert.ThrowsAsync<HookException>(() => sequence.SuspendAsync(s_subject, CancellationToken.None).AsTask());
        await sequence.ResumeAsync(s_subject, CancellationToken.None);
        Assert.Equal(["suspend 1", "suspend 2", "resume 2", "resume 1"], _done);
    }

    [Fact]
    public async Task ResumptionThatFails_GoesOnWhereItStopped()
    {
        var sequence = Sequence();
        await sequence.SuspendAsync(s_subject, CancellationToken.None);
        _done.Clear();
        _fails = "resume 2";
        await Assert.ThrowsAsync<HookException>(() => sequence.ResumeAsync(s_subject, CancellationToken.None).AsTask());
        _fails = null;
        await sequence.ResumeAsync(s_subject, CancellationToken.None);
        Assert.Equal(["resume 3", "resume 2", "resume 2", "resume 1"], _done);
    }

    [Fact]
    public async Task ProgramThatNobodySuspended_IsResumedByAll()
    {
        await Sequence().ResumeAsync(s_subject, CancellationToken.None);
        Assert.Equal(["resume 3", "resume 2", "resume 1"], _done);
    }

    private HookSequence Sequence() => new([.. Enumerable.Range(1, 3).Select(Hook)]);

    private CallbackHook Hook(int number) => new((_, _) => Do($"suspend {number}"), (_, _) => Do($"resume {number}"));

    private ValueTask Do(string what)
    {
        _done.Add(what);
        return what == _fails ? throw new HookException(what) : default;
    }
}
