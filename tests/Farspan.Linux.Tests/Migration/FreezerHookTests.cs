using Farspan.Linux.Migration;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Migration;

public sealed class FreezerHookTests
{
    private static readonly HookSubject s_subject = new("/mnt/disk", Guid.NewGuid(), 1);

    [RequiresFact("cgroup2", "setsid")]
    public async Task Group_IsFrozen_AndGoesOn()
    {
        await using var program = await ProgramUnderHook.StartAsync();
        using var group = ControlGroup.Create();
        group.Add(program.Id);
        foreach (string name in new[] { group.Name, group.Path })
        {
            var hook = FreezerHook.For(name);
            await hook.SuspendAsync(s_subject, CancellationToken.None);
            Assert.True(await program.StandsAsync("parent", "child"));
            await hook.ResumeAsync(s_subject, CancellationToken.None);
            await program.RunsAsync("parent");
        }
    }

    [RequiresFact("cgroup2")]
    public async Task GroupThatIsGone_IsStopped()
    {
        FreezerHook hook;
        using (var group = ControlGroup.Create())
            hook = FreezerHook.For(group.Name);
        await hook.SuspendAsync(s_subject, CancellationToken.None);
        await hook.ResumeAsync(s_subject, CancellationToken.None);
    }

    [RequiresFact("cgroup2")]
    public Task OwnGroup_AndWhatIsNone_AreRefused()
    {
        string own = File.ReadLines("/proc/self/cgroup").Single(static line => line.StartsWith("0::", StringComparison.Ordinal))[3..];
        Assert.Throws<HookException>(() => FreezerHook.For(own));
        Assert.Throws<HookException>(() => FreezerHook.For("/there/is/none"));
        Assert.Throws<HookException>(() => FreezerHook.For(""));
        return Task.CompletedTask;
    }
}
