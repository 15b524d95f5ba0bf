using Farspan.Linux.Migration;
using Farspan.Linux.Processes;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

public sealed class SignalHookTests
{
    private static readonly HookSubject s_subject = new("/mnt/disk", Guid.NewGuid(), 1);

    [RequiresFact("setsid")]
    public async Task Group_IsStoppedAsAWhole_AndGoesOn()
    {
        await using var program = await ProgramUnderHook.StartAsync();
        var hook = SignalHook.ForGroup(program.Id);
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        var members = ProcessStates.OfGroup(program.Id);
        Assert.InRange(members.Count, 2, 4);
        Assert.All(members, member => Assert.True(ProcessStates.IsStopped(member)));
        long parent = program.Count("parent"), child = program.Count("child");
        await using (var other = await ProgramUnderHook.StartAsync())
            await other.RunsAsync("parent");
        Assert.Equal((parent, child), (program.Count("parent"), program.Count("child")));
        await hook.ResumeAsync(s_subject, CancellationToken.None);
        await program.RunsAsync("parent");
        await program.RunsAsync("child");
    }

    [RequiresFact("setsid")]
    public async Task Process_IsStoppedAlone()
    {
        await using var program = await ProgramUnderHook.StartAsync();
        var hook = SignalHook.ForProcess(program.Id);
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        Assert.True(ProcessStates.IsStopped(program.Id));
        Assert.True(await program.StandsAsync("parent", "child"));
        await hook.ResumeAsync(s_subject, CancellationToken.None);
        await program.RunsAsync("parent");
    }

    [RequiresFact("sh")]
    public async Task ProgramThatDoesNotStop_IsWaitedFor_UntilCancelled()
    {
        await using var deaf = PeerProcess.Start("sh", ["-c", "trap '' TSTP; echo deaf; while :; do :; done"]);
        await deaf.WaitUntilAsync(process => process.Output.Contains("deaf", StringComparison.Ordinal));
        var hook = SignalHook.ForProcess(deaf.Id, politely: true);
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hook.SuspendAsync(s_subject, patience.Token).AsTask());
    }

    [RequiresFact("sh")]
    public async Task ProgramThatIsAskedPolitely_StopsItself()
    {
        await using var polite = PeerProcess.Start("setsid", ["sh", "-c", "trap 'echo ready; kill -STOP $$' TSTP; echo runs; while :; do :; done"]);
        await polite.WaitUntilAsync(process => process.Output.Contains("runs", StringComparison.Ordinal));
        var hook = SignalHook.ForProcess(polite.Id, politely: true);
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        Assert.True(ProcessStates.IsStopped(polite.Id));
        await polite.WaitUntilAsync(process => process.Output.Contains("ready", StringComparison.Ordinal));
        await hook.ResumeAsync(s_subject, CancellationToken.None);
        Assert.False(ProcessStates.IsStopped(polite.Id));
    }

    [RequiresFact("sleep")]
    public async Task ProgramThatHasEnded_IsStopped()
    {
        SignalHook hook;
        await using (var sleep = PeerProcess.Start("sleep", ["1000"]))
            hook = SignalHook.ForProcess(sleep.Id);
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        await hook.ResumeAsync(s_subject, CancellationToken.None);
    }

    [Fact]
    public void ItselfAndNobody_AreRefused()
    {
        Assert.Throws<HookException>(() => SignalHook.ForProcess(Environment.ProcessId));
        Assert.Throws<HookException>(() => SignalHook.ForProcess(0));
        Assert.Throws<HookException>(() => SignalHook.ForProcess(int.MaxValue));
        Assert.Throws<HookException>(() => SignalHook.ForGroup(int.MaxValue));
        Assert.Throws<HookException>(() => SignalHook.ForGroup(1));
        Assert.Throws<HookException>(() => SignalHook.ForGroup(-1));
        string[] stat = File.ReadAllText("/proc/self/stat").Split(") ")[^1].Split(' ');
        Assert.Contains("itself", Assert.Throws<HookException>(() => SignalHook.ForGroup(int.Parse(stat[2]))).Message, StringComparison.Ordinal);
    }
}
