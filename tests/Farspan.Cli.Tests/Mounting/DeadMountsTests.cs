using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class DeadMountsTests
{
    private const int NoProcess = int.MaxValue;

    [Fact(Timeout = 60_000)]
    public Task Prune_ForgetsTheDeadThatLeaveNothingToDo_AndKeepsTheOthers()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["cache"]);
        Directory.CreateDirectory(directory["taken"]);
        Write("memory", record => record with { ProcessId = NoProcess });
        Write("read-only", record => record with { ProcessId = NoProcess, Cache = directory["cache"], ReadOnly = true });
        Write("cache-gone", record => record with { ProcessId = NoProcess, Cache = directory["gone"] });
        Write("cache-taken", record => record with { ProcessId = NoProcess, Cache = directory["taken"] });
        Write("to-resume", record => record with { ProcessId = NoProcess, Cache = directory["cache"] });
        Write("lives", record => record with { Cache = directory["taken"] });
        DeadMounts.Prune(directory.Path);
        Assert.Equal(["lives", "to-resume"], MountRecord.List(directory.Path).Select(record => Path.GetFileName(record.Target)).Order(StringComparer.Ordinal));
        DeadMounts.Prune(directory.Path);
        Directory.Delete(directory["cache"]);
        DeadMounts.Prune(directory.Path);
        Assert.Equal(directory["lives"], Assert.Single(MountRecord.List(directory.Path)).Target);
        return Task.CompletedTask;

        void Write(string name, Func<MountRecord, MountRecord> change)
            => change(MountRecord.Create(directory.Path, directory[name], directory[name], "memory:1MiB") with { IsManaged = true }).Write();
    }

    [Theory(Timeout = 60_000)]
    [InlineData("/tmp/f", "farspan mount file:disk /tmp/f --cache /tmp/c")]
    [InlineData("/tmp/it's", "farspan mount file:disk '/tmp/it'\\''s' --cache /tmp/c")]
    [InlineData("nbd://127.0.0.1:10809/", "farspan serve file:disk --managed --cache /tmp/c")]
    public Task ResumeCommand_CanBeCopiedIntoAShell(string target, string command)
    {
        var record = MountRecord.Create("/tmp", target, target, "file:disk") with { Cache = "/tmp/c", IsManaged = true };
        Assert.Equal(command, record.ResumeCommand);
        var exports = new ExportSettings
        {
            Listen = [ListenUri.Parse("nbd://0.0.0.0:10809"), ListenUri.Parse("farspan+unix:///?socket=/tmp/a%20socket")],
            Name = "disk",
            Tls = new NbdServerTls { CertificateDirectory = "/etc/pki", Required = false },
        };
        Assert.Equal(
            $"{command} --listen nbd://0.0.0.0:10809 --listen 'farspan+unix:///?socket=/tmp/a%20socket' --name disk --tls-certificates /etc/pki --tls on --insecure",
            (record with { ExportArguments = exports.Arguments() }).ResumeCommand);
        Assert.Equal(["--listen", "nbd://127.0.0.1:10809"], new ExportSettings { Listen = [ListenUri.Parse("nbd://127.0.0.1")] }.Arguments());
        Assert.Null((record with { ReadOnly = true }).ResumeCommand);
        Assert.Null((record with { Cache = null }).ResumeCommand);
        return Task.CompletedTask;
    }
}
