using Farspan.Backends;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Linux.Fuse;
using Farspan.Linux.Migration;
using Farspan.Migration;
using Farspan.Mounts;
using Farspan.Wire.Server;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>One <c>farspan seed</c>: a region as a file, for a program here and for a leecher, until the leecher has it or this process is told to end.</summary>
internal sealed class SeedService(SeedSettings settings, MoveOutput output, ILogger logger) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_linger = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _asked = new();
    private readonly CancellationTokenSource _forced = new();
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ProgramHost _host = null!;
    private Seeder _seeder = null!;
    private WatchedSeeder _watched = null!;
    private RegionFace _face = null!;
    private FuseMount? _mount;
    private volatile bool _isEnding;
    private Guid _follower;

    /// <summary>Seeds until the leecher has everything, or told to end.</summary>
    /// <param name="registry">Opens the store.</param>
    /// <param name="ending">Ends it; refused, once, while a destination still needs this host.</param>
    /// <param name="insisting">Ends it all the same.</param>
    /// <exception cref="BackendException">The store or the record cannot be opened, or the last flush failed.</exception>
    /// <exception cref="CommandException">The region is not here, the target or an address is in use, or a destination still needs this host.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken ending, CancellationToken insisting)
    {
        await using var files = RegionFiles.Open(RegionFiles.DirectoryFor(settings.Backend, settings.State));
        var record = await RegionRecordFile.ReadAsync(files);
        settings.Check(record);
        var hook = settings.Hooks.Create();
        using var listeners = ExportListeners.Bind(settings.Exports.Listen);
        await using var opened = new OpenedStores(registry, settings.Timeout);
        var behind = await opened.OpenBehindAsync(settings.Behind, ending);
        var store = await registry.OpenAsync(settings.Backend, new BackendOpenOptions { Timeout = settings.Timeout }, ending);
        _host = new ProgramHost(hook, () => new HookSubject(_mount?.Path ?? settings.Target, _seeder.Record.Region, _seeder.Record.Epoch)) { Attaching = MountAsync };
        try
        {
            if (store.IsReadOnly)
                throw new CommandException($"{settings.Backend} cannot be written, and a region that moves is one that a program writes; 'farspan serve' serves it for reading");
            _seeder = await Seeder.OpenAsync(files, store, _host, new SeederOptions { ChunkSize = settings.ChunkSize, StepTimeout = settings.StepTimeout, Behind = behind });
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        string? failure = "it failed";
        try
        {
            _face = new RegionFace(_seeder.Backend);
            _watched = new WatchedSeeder(_seeder, Answered);
            await using var control = await MoveControl.StartAsync(
                settings.Target, settings.Target, settings.Backend, "seed", listeners.Uris(settings.Exports), AnswerAsync);
            try
            {
                failure = await SeedAsync(listeners, ending, insisting);
            }
            finally
            {
                _outcome.TrySetResult(failure);
            }
        }
        finally
        {
            await _seeder.DisposeAsync();
        }

        if (failure is not null)
            throw new CommandException(failure);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _wake.Dispose();
        _asked.Dispose();
        _forced.Dispose();
    }

    private async Task<string?> SeedAsync(ExportListeners listeners, CancellationToken ending, CancellationToken insisting)
    {
        var server = new FarspanServer(
            [FarspanExport.Of(_watched) with { Name = settings.Exports.Name }],
            new FarspanServerOptions { Tls = settings.Exports.Tls?.Load(), MaximumConnections = settings.Exports.MaximumClients, Log = message => logger.LogInformation("{Message}", message) });
        var last = _seeder.Record;
        bool isServed = false;
        try
        {
            if (settings.TakeBack)
            {
                await _seeder.TakeBackByForceAsync(ending);
                last = _seeder.Record;
                output.Write(Happened("taken-back"));
            }
            else if (last.MayWrite)
            {
                await MountAsync(ending);
            }

            var serving = Task.WhenAll(listeners.Bound.Select(bound => server.ServeAsync(bound.Listener, insisting)));
            output.Write(Happened("ready") with { Uris = listeners.Uris(settings.Exports), Length = _seeder.Description.Length, ProcessId = Environment.ProcessId });
            bool isReleased = await WatchAsync(last, ending, insisting);
            if (isReleased)
                await LingerAsync(insisting);
            await server.DisposeAsync();
            isServed = true;
            await serving;
            if (!_seeder.Record.MayWrite)
                await DepartAsync();
            await EndMountAsync();
            return End(isReleased);
        }
        finally
        {
            if (!isServed)
                await server.DisposeAsync();
            if (_mount is not null)
                await _mount.DisposeAsync();
        }
    }

    private string? End(bool isReleased)
    {
        if (isReleased)
            return null;
        if (_seeder.Record.Role == RegionRole.HandedOver)
            return $"stopped, but the destination still needs about {Units.ByteSize.Format(_watched.MissingBytes)} from here; the same command goes on with it";
        output.Write(new MoveEvent("stopped") { Error = "everything is flushed" });
        return null;
    }

    /// <summary>Follows what becomes of the region; true where it was let go, false where this process is to end.</summary>
    private async Task<bool> WatchAsync(RegionRecord last, CancellationToken ending, CancellationToken insisting)
    {
        bool isRefused = false;
        while (true)
        {
            var record = _seeder.Record;
            if (record != last)
                await ChangedAsync(last, record);
            last = record;
            if (record.Role == RegionRole.Released)
                return true;
            bool isOver = record.MayWrite && _mount is { Completion.IsCompleted: true };
            if (isOver || insisting.IsCancellationRequested || _forced.IsCancellationRequested)
                return false;
            if (!isRefused && (ending.IsCancellationRequested || _asked.IsCancellationRequested))
            {
                if (record.MayWrite)
                    return false;
                output.Write(Happened("needed") with { Missing = _watched.MissingBytes });
                isRefused = true;
            }

            await _wake.WaitAsync(s_look, CancellationToken.None);
        }
    }

    private async Task ChangedAsync(RegionRecord before, RegionRecord now)
    {
        if (now.Role == RegionRole.HandedOver)
        {
            var pause = _host.SuspendedFor;
            await DepartAsync();
            output.Write(Happened("handed-over") with { Missing = _watched.MissingBytes, Moved = _watched.SentBytes, Pause = pause?.TotalMilliseconds });
        }
        else if (now.Role == RegionRole.Released)
        {
            output.Write(Happened("released") with { Moved = _watched.SentBytes });
        }
        else if (before.Role == RegionRole.HandedOver)
        {
            output.Write(Happened("taken-back"));
        }
    }

    private async Task DepartAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            await _host.DepartAsync($"The region has moved to another host (epoch {_seeder.Record.Epoch}).", patience.Token);
        }
        catch (Exception error) when (error is BackendException or OperationCanceledException)
        {
            logger.LogError("The kernel still keeps old pages of {Target}: {Message}", settings.Target, error.Message);
        }
    }

    // Whoever did not get the last answer asks once more.
    private static async Task LingerAsync(CancellationToken insisting)
        => await Task.Delay(s_linger, insisting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task MountAsync(CancellationToken cancellationToken)
    {
        if (_mount is { Completion.IsCompleted: false })
            return;
        if (_isEnding)
            throw new MountException("This process ends.");
        _mount = await FuseMount.MountAsync(_face.Backend, settings.Target, settings.Fuse, cancellationToken);
        _host.Attach(_face, _mount);
    }

    private async Task EndMountAsync()
    {
        _isEnding = true;
        if (_mount is not { } mount)
            return;
        _mount = null;
        try
        {
            await mount.DisposeAsync();
            await mount.Completion;
        }
        catch (Exception error) when (error is IOException && !_seeder.Record.MayWrite)
        {
            // A program that was stopped for the hand-over is cut off from what it cannot use any more.
            logger.LogInformation("{Message}", error.Message);
        }
    }

    private void Answered(SeederRequest request, SeederReply reply)
    {
        bool isNew = reply.Answer == SeederAnswer.Tracking && Follow(request.Token, request.Token);
        if (isNew)
            output.Write(Happened("leecher") with { Token = request.Token });
        else if (reply.Answer == SeederAnswer.Busy && request.Call == SeederCall.Finalize)
            output.Write(Happened("not-handed-over") with { Error = _seeder.Trouble });
        else if (reply.Answer == SeederAnswer.GivenUp && Follow(request.Token, Guid.Empty))
            output.Write(Happened("given-up"));

        if (request.Call is SeederCall.Finalize or SeederCall.GiveUp or SeederCall.Close)
            _wake.Release();
    }

    /// <summary>Whether a leecher that was not the follower is from now on, or one that was is not any more.</summary>
    private bool Follow(Guid token, Guid now)
    {
        lock (_asked)
        {
            bool changes = (_follower == token) == (now == Guid.Empty);
            _follower = changes ? now : _follower;
            return changes;
        }
    }

    private MoveEvent Happened(string what)
    {
        var record = _seeder.Record;
        return new MoveEvent(what)
        {
            Backend = settings.Backend, Target = _mount?.Path, Role = RegionText.Of(record.Role), Region = record.Region, Epoch = record.Epoch,
            Token = record.Token == Guid.Empty ? null : record.Token,
        };
    }

    private async Task<ControlReply> AnswerAsync(MoveControl control, ControlRequest request)
    {
        switch (request.Verb)
        {
            case ControlRequest.Status:
                var record = _seeder.Record;
                return new ControlReply
                {
                    Status = control.Report("open").With(record) with
                    {
                        Length = _seeder.Description.Length, ChunkSize = _seeder.Description.ChunkSize, LastError = _seeder.Trouble,
                        MissingBytes = record.Role == RegionRole.HandedOver || _follower != Guid.Empty ? _watched.MissingBytes : null,
                    },
                };
            case ControlRequest.Umount when !request.Force && !_seeder.Record.MayWrite:
                return new ControlReply { Error = $"the destination still needs about {Units.ByteSize.Format(_watched.MissingBytes)} from here; --force stops all the same" };
            case ControlRequest.Umount:
                await (request.Force ? _forced : _asked).CancelAsync();
                return new ControlReply { Unmounted = true, Error = await _outcome.Task };
            default:
                return new ControlReply { Error = $"A seed's process knows no '{request.Verb}'." };
        }
    }
}
