using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Migration;
using Farspan.Units;
using Farspan.Wire.Server;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>A region that others may leech: who asks is served, and what becomes of it is told, until it was let go or this process is to end.</summary>
internal sealed class Seeding : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_linger = TimeSpan.FromSeconds(2);

    private readonly RegionMount _mount;
    private readonly ExportListeners _listeners;
    private readonly ExportSettings _exports;
    private readonly string _store;
    private readonly MoveOutput _output;
    private readonly ILogger _logger;
    private readonly AwaitedSeeder _awaited;
    private readonly WatchedSeeder _watched;
    private readonly FarspanServer _server;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _asked = new();
    private readonly CancellationTokenSource _forced = new();
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private Seeder? _seeder;
    private Task _serving = Task.CompletedTask;
    private Guid _follower;
    private bool _isStopped;

    /// <summary>Nobody is served yet.</summary>
    /// <param name="description">What the region is; known before all of it is here.</param>
    /// <param name="mount">The file that its program uses; not owned.</param>
    /// <param name="listeners">Where others connect; not owned.</param>
    /// <param name="exports">How they are served.</param>
    /// <param name="store">The store, for people.</param>
    /// <param name="output">Is told what happens.</param>
    /// <param name="logger">Is told who connects.</param>
    public Seeding(SeederDescription description, RegionMount mount, ExportListeners listeners, ExportSettings exports, string store, MoveOutput output, ILogger logger)
    {
        (_mount, _listeners, _exports, _store, _output, _logger) = (mount, listeners, exports, store, output, logger);
        _awaited = new AwaitedSeeder(description);
        _watched = new WatchedSeeder(_awaited, Answered);
        _server = new FarspanServer(
            [FarspanExport.Of(_watched) with { Name = exports.Name }],
            new FarspanServerOptions { Tls = exports.Tls?.Load(), MaximumConnections = exports.MaximumClients, Log = message => logger.LogInformation("{Message}", message) });
    }

    /// <summary>Where others find the region.</summary>
    public IReadOnlyList<string> Uris => _listeners.Uris(_exports);

    /// <summary>Whether the region can be leeched: <see cref="Begin"/> was called.</summary>
    public bool HasBegun => Volatile.Read(ref _seeder) is not null;

    /// <summary>Serves who connects; before <see cref="Begin"/> they are told to ask again.</summary>
    public void Serve() => _serving = Task.WhenAll(_listeners.Bound.Select(bound => _server.ServeAsync(bound.Listener, _forced.Token)));

    /// <summary>All of the region is here, or it was handed over from here.</summary>
    /// <param name="seeder">Who has it; not owned.</param>
    public void Begin(Seeder seeder)
    {
        Volatile.Write(ref _seeder, seeder);
        _awaited.Seeder = seeder;
    }

    /// <summary>Follows what becomes of the region until it was let go or this process is to end; unmounts then.</summary>
    /// <param name="last">What was told of it last.</param>
    /// <param name="ending">Ends it; refused, once, while a destination still needs this host.</param>
    /// <param name="insisting">Ends it all the same.</param>
    /// <returns>What went wrong; null where nothing did.</returns>
    /// <exception cref="IOException">The last flush failed.</exception>
    public async Task<string?> RunAsync(RegionRecord last, CancellationToken ending, CancellationToken insisting)
    {
        bool isReleased = await WatchAsync(last, ending, insisting);
        if (isReleased)
            await LingerAsync(insisting);
        await StopAsync();
        await EndMountAsync();
        if (isReleased)
            return null;
        if (_seeder!.Record.Role == RegionRole.HandedOver)
            return $"stopped, but the destination still needs about {ByteSize.Format(_watched.MissingBytes)} from here; the same command goes on with it";
        _output.Write(new MoveEvent("stopped") { Error = "everything is flushed" });
        return null;
    }

    /// <summary>Something that happened, as of now.</summary>
    public MoveEvent Happened(string what)
    {
        var record = _seeder!.Record;
        return new MoveEvent(what)
        {
            Backend = _store, Target = _mount.Path, Role = RegionText.Of(record.Role), Region = record.Region, Epoch = record.Epoch,
            Token = record.Token == Guid.Empty ? null : record.Token,
        };
    }

    /// <summary>Answers what others ask this process, once it has begun.</summary>
    public async Task<ControlReply> AnswerAsync(MoveControl control, ControlRequest request)
    {
        var record = _seeder!.Record;
        switch (request.Verb)
        {
            case ControlRequest.Status:
                return new ControlReply
                {
                    Status = control.Report("open").With(record) with
                    {
                        Length = _watched.Description.Length, ChunkSize = _watched.Description.ChunkSize, LastError = _seeder.Trouble,
                        MissingBytes = record.Role == RegionRole.HandedOver || _follower != Guid.Empty ? _watched.MissingBytes : null,
                    },
                };
            case ControlRequest.Umount when !request.Force && !record.MayWrite:
                return new ControlReply { Error = $"the destination still needs about {ByteSize.Format(_watched.MissingBytes)} from here; --force stops all the same" };
            case ControlRequest.Umount:
                await (request.Force ? _forced : _asked).CancelAsync();
                return new ControlReply { Unmounted = true, Error = await _outcome.Task };
            default:
                return new ControlReply { Error = $"A seed's process knows no '{request.Verb}'." };
        }
    }

    /// <summary>Tells those who asked this process to end what became of that.</summary>
    public void Tell(string? outcome) => _outcome.TrySetResult(outcome);

    /// <summary>Serves nobody any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _wake.Dispose();
        _asked.Dispose();
        _forced.Dispose();
    }

    private async Task StopAsync()
    {
        if (_isStopped)
            return;
        _isStopped = true;
        await _server.DisposeAsync();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_serving.Exception is { } failure)
            _logger.LogError("Nobody could connect any more: {Message}", failure.InnerException!.Message);
    }

    /// <summary>True where it was let go, false where this process is to end.</summary>
    private async Task<bool> WatchAsync(RegionRecord last, CancellationToken ending, CancellationToken insisting)
    {
        bool isRefused = false;
        while (true)
        {
            var record = _seeder!.Record;
            if (record != last)
                await ChangedAsync(last, record);
            last = record;
            if (record.Role == RegionRole.Released)
                return true;
            bool isOver = record.MayWrite && _mount.IsGone;
            if (isOver || insisting.IsCancellationRequested || _forced.IsCancellationRequested)
                return false;
            if (!isRefused && (ending.IsCancellationRequested || _asked.IsCancellationRequested))
            {
                if (record.MayWrite)
                    return false;
                _output.Write(Happened("needed") with { Missing = _watched.MissingBytes });
                isRefused = true;
            }

            await _wake.WaitAsync(s_look, CancellationToken.None);
        }
    }

    private async Task ChangedAsync(RegionRecord before, RegionRecord now)
    {
        if (now.Role == RegionRole.HandedOver)
        {
            var pause = _mount.Host.SuspendedFor;
            await DepartAsync();
            _output.Write(Happened("handed-over") with { Missing = _watched.MissingBytes, Moved = _watched.SentBytes, Pause = pause?.TotalMilliseconds });
        }
        else if (now.Role == RegionRole.Released)
        {
            _output.Write(Happened("released") with { Moved = _watched.SentBytes });
        }
        else if (before.Role == RegionRole.HandedOver)
        {
            _output.Write(Happened("taken-back"));
        }
    }

    // A hand-over that was asked for before may still come about, and holds back meanwhile what the end of the mount waits for.
    private async Task EndMountAsync()
    {
        bool isGone = !_seeder!.Record.MayWrite;
        if (isGone)
            await DepartAsync();
        var ending = _mount.EndAsync(mayFail: () => !_seeder.Record.MayWrite);
        while (!isGone && await Task.WhenAny(ending, Task.Delay(s_look)) != ending)
        {
            isGone = !_seeder.Record.MayWrite;
            if (isGone)
                _mount.Refuse("The region has moved to another host.");
        }

        await ending;
    }

    private Task DepartAsync() => _mount.DepartAsync($"The region has moved to another host (epoch {_seeder!.Record.Epoch}).");

    // Whoever did not get the last answer asks once more.
    private static async Task LingerAsync(CancellationToken insisting)
        => await Task.Delay(s_linger, insisting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private void Answered(SeederRequest request, SeederReply reply)
    {
        if (!HasBegun)
            return;
        bool isNew = reply.Answer == SeederAnswer.Tracking && Follow(request.Token, request.Token);
        if (isNew)
            _output.Write(Happened("leecher") with { Token = request.Token });
        else if (reply.Answer == SeederAnswer.Busy && request.Call == SeederCall.Finalize)
            _output.Write(Happened("not-handed-over") with { Error = _seeder!.Trouble });
        else if (reply.Answer == SeederAnswer.GivenUp && Follow(request.Token, Guid.Empty))
            _output.Write(Happened("given-up"));

        if (request.Call is SeederCall.Finalize or SeederCall.GiveUp or SeederCall.Close)
            _wake.Release();
    }

    /// <summary>Whether a leecher that was not the follower is from now on, or one that was is not any more.</summary>
    private bool Follow(Guid token, Guid now)
    {
        lock (_lock)
        {
            bool changes = (_follower == token) == (now == Guid.Empty);
            _follower = changes ? now : _follower;
            return changes;
        }
    }
}
