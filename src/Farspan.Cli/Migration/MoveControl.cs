using Farspan.Cli.Mounting;
using Farspan.Linux.Fuse;

namespace Farspan.Cli.Migration;

/// <summary>What others find a seed or a leech by: its record among this user's mounts, and its control socket.</summary>
internal sealed class MoveControl : IAsyncDisposable
{
    private readonly MountRecord _record;
    private readonly FileStream _exclusive;
    private readonly ControlServer _server;

    private MoveControl(MountRecord record, FileStream exclusive, ControlServer server)
    {
        _record = record;
        _exclusive = exclusive;
        _server = server;
    }

    /// <summary>Keeps a target for this process, and answers from now on.</summary>
    /// <param name="target">TARGET.</param>
    /// <param name="path">The file that is mounted there.</param>
    /// <param name="store">The store.</param>
    /// <param name="kind"><c>seed</c> or <c>leech</c>.</param>
    /// <param name="listens">Where leechers find it; null where they do not.</param>
    /// <param name="answer">Answers what is asked.</param>
    /// <exception cref="CommandException">Something is mounted there, or moves.</exception>
    public static async Task<MoveControl> StartAsync(
        string target, string path, string store, string kind, IReadOnlyList<string>? listens, Func<MoveControl, ControlRequest, Task<ControlReply>> answer)
    {
        string directory = RuntimeDirectory.Create();
        var record = MountRecord.Create(directory, target, path, store) with { Kind = kind, Listens = listens };
        var exclusive = MountOpening.Lock(record);
        try
        {
            MoveControl? control = null;
            var server = ControlServer.Start(record.ControlSocket, request => control is { } ready ? answer(ready, request) : Task.FromResult(new ControlReply { Error = "It is just starting." }));
            control = new MoveControl(record, exclusive, server);
            record.Write();
            DeadMounts.Prune(directory);

            // What a process that was killed left mounted there.
            await FuseMount.RemoveDeadAsync(target);
            return control;
        }
        catch
        {
            record.Remove(keepLog: false);
            await exclusive.DisposeAsync();
            throw;
        }
    }

    /// <summary>What is known of the mount.</summary>
    public MountReport Report(string state) => MountReport.Of(_record, state);

    /// <summary>Answers no more, and frees the target.</summary>
    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _record.Remove(keepLog: false);
        await _exclusive.DisposeAsync();
    }
}
