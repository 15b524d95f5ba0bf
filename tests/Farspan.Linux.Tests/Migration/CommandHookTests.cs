using Farspan.Linux.Migration;
using Farspan.Linux.Processes;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

public sealed class CommandHookTests
{
    private const int TimeLimit = 120_000;
    private static readonly HookSubject s_subject = new("/mnt/a disk", new Guid("00112233-4455-6677-8899-aabbccddeeff"), 7);

    [Fact(Timeout = TimeLimit)]
    public async Task Command_IsTheShells_AndKnowsWhatItIsFor()
    {
        using var directory = new TemporaryDirectory();
        string output = directory["said"];
        var hook = new CommandHook($"echo \"$FARSPAN_EVENT $FARSPAN_TARGET $FARSPAN_REGION $FARSPAN_EPOCH\" >> {output}", $"echo $FARSPAN_EVENT | cat >> {output}");
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        await hook.ResumeAsync(s_subject, CancellationToken.None);
        Assert.Equal(["suspend /mnt/a disk 00112233-4455-6677-8899-aabbccddeeff 7", "resume"], await File.ReadAllLinesAsync(output));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CommandThatIsNotGiven_DoesNothing()
    {
        await new CommandHook(suspend: null, resume: null).SuspendAsync(s_subject, CancellationToken.None);
        await new CommandHook(suspend: "exit 1", resume: null).ResumeAsync(s_subject, CancellationToken.None);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CommandThatFails_SaysHow_WithTheEndOfWhatItPrinted()
    {
        var hook = new CommandHook("head -c 100000 /dev/zero | tr '\\0' x; echo; echo the database is busy >&2; exit 3", "kill -9 $$");
        var error = await Assert.ThrowsAsync<HookException>(() => hook.SuspendAsync(s_subject, CancellationToken.None).AsTask());
        Assert.Contains("exit code 3", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("x the database is busy", error.Message, StringComparison.Ordinal);
        Assert.InRange(error.Message.Length, 1000, 3000);
        error = await Assert.ThrowsAsync<HookException>(() => hook.ResumeAsync(s_subject, CancellationToken.None).AsTask());
        Assert.EndsWith("was ended by signal 9", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CommandThatTakesTooLong_IsKilled_WithEverythingItStarted()
    {
        using var directory = new TemporaryDirectory();
        var hook = new CommandHook($"sleep 1000 & echo $! > {directory["pid"]}; mv {directory["pid"]} {directory["child"]}; wait", resume: null);
        using var patience = new CancellationTokenSource();
        var suspending = hook.SuspendAsync(s_subject, patience.Token).AsTask();
        await Eventually.HoldsAsync(() => File.Exists(directory["child"]));
        int child = int.Parse(await File.ReadAllTextAsync(directory["child"]));
        Assert.NotNull(ProcessLife.StartOf(child));
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => suspending);
        await Eventually.HoldsAsync(() => ProcessLife.StartOf(child) is null);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WhatACommandLeavesInTheBackground_IsNotWaitedFor()
    {
        using var directory = new TemporaryDirectory();
        await new CommandHook($"sleep 1000 & echo $! > {directory["pid"]}", resume: null).SuspendAsync(s_subject, CancellationToken.None);
        int child = int.Parse(await File.ReadAllTextAsync(directory["pid"]));
        Assert.NotNull(ProcessLife.StartOf(child));
        await new CommandHook($"kill -9 {child}", resume: null).SuspendAsync(s_subject, CancellationToken.None);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Pipes_EndAsInAnyShell()
        => await new CommandHook("yes | head -1 > /dev/null", resume: null).SuspendAsync(s_subject, CancellationToken.None);
}
