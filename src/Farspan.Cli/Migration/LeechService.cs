using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;
using Farspan.Cli.Terminal;
using Farspan.Migration;
using Farspan.Units;
using Farspan.Wire.Client;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>
/// One <c>farspan leech</c>: gets a region from another host, and is the file that its program uses from then on, until told to end, or until another host
/// has leeched it from here.
/// </summary>
internal sealed class LeechService(LeechSettings settings, MoveOutput output, ILogger logger) : IDisposable
{
    private const PosixSignal SigUsr1 = (PosixSignal)10;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_report = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_giveUpPatience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _asked = new();
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MovedRegion _moved = null!;
    private RegionMount _mount = null!;
    private Seeding? _seeding;

    private Leecher Leecher => _moved.Leecher;

    /// <summary>Moves the region here, and serves it until told to end, until it is given up, or until the next host has it.</summary>
    /// <param name="registry">Opens the stores.</param>
    /// <param name="insist">Gives what ends it even while a next host still needs this one; asked for once that may be so.</param>
    /// <param name="cancellationToken">Ends it; refused, once, while a next host still needs this one.</param>
    /// <exception cref="BackendException">The source or the store cannot be opened, or the last flush failed.</exception>
    /// <exception cref="CommandException">The region is here already, the target or an address is in use, or something is still missing.</exception>
    public async Task RunAsync(BackendRegistry registry, Func<CancellationToken> insist, CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _asked.Token);
        await using var files = RegionFiles.Open(RegionFiles.DirectoryFor(settings.Local, settings.State));
        Check(await RegionRecordFile.ReadAsync(files));
        using var listeners = ExportListeners.Bind(settings.Exports.Listen);
        _mount = new RegionMount(settings.Target, settings.Fuse, settings.Hooks.Create(), () => _moved.Record, logger);
        await using var source = await KnownSeeder.OpenAsync(
            files, BackendUri.Parse(settings.Source), new BackendOpenOptions { Timeout = settings.Timeout }, new FarspanSeederOptions { Compresses = settings.Compress },
            isBacked: settings.Behind is not null, cancellationToken);
        await using var opened = new OpenedStores(registry, settings.Timeout);
        var options = new LeecherOptions
        {
            Policy = settings.Policy, StepTimeout = settings.StepTimeout, Behind = await opened.OpenBehindAsync(settings.Behind, cancellationToken),
            Sources = await opened.OpenSourcesAsync(settings.Sources, cancellationToken),
        };
        var store = await LocalStore.OpenAsync(registry, settings.Local, source.Description.Length, settings.Timeout, cancellationToken);
        try
        {
            _moved = await MovedRegion.OpenAsync(files, store, source, _mount.Host, options, cancellationToken);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        string? failure = "it failed";
        try
        {
            _mount.Show(_moved.Backend);
            await using var seeding = settings.IsSeededOn
                ? new Seeding(source.Description with { IsBacked = options.Behind is not null }, _mount, listeners, settings.Exports, settings.Local, output, logger)
                : null;
            _seeding = seeding;
            await using var control = await MoveControl.StartAsync(settings.Target, settings.Target, settings.Local, "leech", seeding?.Uris, AnswerAsync);
            using var finalize = PosixSignalRegistration.Create(SigUsr1, context =>
            {
                context.Cancel = true;
                Leecher.RequestFinalize();
            });
            try
            {
                failure = await LeechAsync(source.Description, options.Behind, insist, ending.Token);
            }
            finally
            {
                _outcome.TrySetResult(failure);
                seeding?.Tell(failure);
            }
        }
        finally
        {
            try
            {
                await _mount.AbandonAsync();
            }
            finally
            {
                await _moved.DisposeAsync();
            }
        }

        if (failure is not null)
            throw new CommandException(failure);
    }

    /// <inheritdoc/>
    public void Dispose() => _asked.Dispose();

    private void Check(RegionRecord record)
    {
        if (record is { Role: RegionRole.Owner } && record.Token == Guid.Empty)
            throw new CommandException($"this host owns the region {record.Region} of {settings.Local} already (epoch {record.Epoch}), and all of it is here; 'farspan seed {settings.Local} TARGET' lets a program use it");
        if (record.Role == RegionRole.HandedOver)
            throw new CommandException($"the region {record.Region} of {settings.Local} is on its way from here, and its new owner needs what is here; end that move with 'farspan seed' first");
    }

    private async Task<string?> LeechAsync(SeederDescription description, StoreBehind? behind, Func<CancellationToken> insist, CancellationToken ending)
    {
        // Where it came in an earlier run, the program of that time has lost its file.
        bool wasHere = Leecher.Accepted.IsCompletedSuccessfully;
        if (!wasHere)
            await _mount.HoldAsync(ending);
        await _mount.MountAsync(ending);
        _mount.Begin();
        if (wasHere)
            await _mount.Host.ResumeAsync(ending);
        _seeding?.Serve();
        output.Write(Happened("ready") with { Length = description.Length, ProcessId = Environment.ProcessId });
        bool isHere;
        await using (ProgressLine.Start(Console.Error, settings.Progress, "leech", description.Length, () => description.Length - Leecher.Status.MissingBytes, "waiting for the hand-over"))
            isHere = await FollowAsync(ending);
        if (!isHere || _seeding is null)
            return await EndAsync();
        RegionFiles.KeepChunkSize(RegionFiles.DirectoryFor(settings.Local, settings.State), description.ChunkSize);
        Seeder seeder;
        try
        {
            seeder = await _moved.SeedAsync(_mount.Host, new SeederOptions { ChunkSize = description.ChunkSize, StepTimeout = settings.StepTimeout, Behind = behind }, ending);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            return await EndAsync();
        }

        var insisting = insist();
        _seeding.Begin(seeder);
        output.Write(_seeding.Happened("seeding") with { Uris = _seeding.Uris });
        return await _seeding.RunAsync(seeder.Record, ending, insisting);
    }

    /// <summary>
    /// Says what happens until this process is to end, or the move was given up; where the region can move on, until all of it is here.
    /// </summary>
    /// <returns>Whether all of it is here, and this process is not to end.</returns>
    private async Task<bool> FollowAsync(CancellationToken ending)
    {
        bool isAccepted = false, isCompleted = false;
        string? trouble = null;
        var clock = TimeProvider.System;
        long reported = clock.GetTimestamp();
        while (!ending.IsCancellationRequested)
        {
            if (!isAccepted && Leecher.Accepted.IsCompletedSuccessfully)
            {
                isAccepted = true;
                output.Write(Happened("received") with { Pause = Leecher.Status.HandOverTime?.TotalMilliseconds });
            }

            if (!isCompleted && Leecher.Completed.IsCompletedSuccessfully)
            {
                isCompleted = true;
                if (!await Leecher.Completed)
                    return false;
                output.Write(Happened("completed"));
                if (_seeding is not null)
                    return true;
            }

            if (isAccepted && _mount.IsGone)
                return false;
            if (Leecher.Trouble is var now && now != trouble && now is not null && !isCompleted)
                output.Write(Happened("trouble") with { Error = now });
            trouble = now;
            if (!isCompleted && clock.GetElapsedTime(reported) > s_report)
            {
                output.Write(Happened("progress"));
                reported = clock.GetTimestamp();
            }

            await Task.WhenAny(Task.Delay(s_look, clock, CancellationToken.None), isAccepted ? Never : Leecher.Accepted, isCompleted ? Never : Leecher.Completed);
        }

        return false;
    }

    private static Task Never { get; } = new TaskCompletionSource().Task;

    private async Task<string?> EndAsync()
    {
        bool isGivenUp = Leecher.Completed is { IsCompletedSuccessfully: true, Result: false };
        if (!isGivenUp && !Leecher.Accepted.IsCompletedSuccessfully)
        {
            using var patience = new CancellationTokenSource(s_giveUpPatience);
            try
            {
                isGivenUp = await Leecher.GiveUpAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                await RefuseAsync();
                return $"given up, but {settings.Source} could not be told; the same command tells it, or forgets it after a while";
            }
        }

        if (isGivenUp)
        {
            await RefuseAsync();
            output.Write(Happened("given-up"));
            return null;
        }

        await _mount.EndAsync(mayFail: static () => false);
        bool isComplete = Leecher.Completed is { IsCompletedSuccessfully: true, Result: true };
        if (!isComplete)
            return $"stopped; {ByteSize.Format(Leecher.Status.MissingBytes)} of the region are still at {settings.Source}, and the same command goes on with them";
        output.Write(Happened("stopped") with { Error = $"everything is flushed, and the region is here: 'farspan seed {settings.Local} TARGET' lets a program use it" });
        return null;
    }

    private async Task RefuseAsync()
    {
        _mount.Refuse("The move was given up.");
        await _mount.EndAsync(mayFail: static () => true);
    }

    private MoveEvent Happened(string what)
    {
        var record = Leecher.Record;
        var status = Leecher.Status;
        return new MoveEvent(what)
        {
            Source = settings.Source, Backend = settings.Local, Target = _mount.Path, Role = RegionText.Of(record.Role),
            Region = record.Region == Guid.Empty ? null : record.Region, Epoch = record.Epoch, Token = record.Token == Guid.Empty ? null : record.Token,
            Missing = status.MissingBytes, Moved = status.ReceivedBytes, Rate = (long)status.BytesPerSecond, Rounds = status.Rounds,
        };
    }

    private async Task<ControlReply> AnswerAsync(MoveControl control, ControlRequest request)
    {
        if (_seeding is { HasBegun: true } seeding)
            return await seeding.AnswerAsync(control, request);
        var status = Leecher.Status;
        switch (request.Verb)
        {
            case ControlRequest.Status:
                return new ControlReply
                {
                    Status = control.Report("open").With(Leecher.Record) with { Length = status.RegionBytes, MissingBytes = status.MissingBytes, LastError = Leecher.Trouble },
                };
            case ControlRequest.Finalize:
                Leecher.RequestFinalize();
                return new ControlReply();
            case ControlRequest.ForgetSeeder when !Leecher.Accepted.IsCompletedSuccessfully:
                return new ControlReply { Error = "The region has not come yet, so that nothing can be ended without its seeder; Ctrl-C gives the move up." };
            case ControlRequest.ForgetSeeder:
                Leecher.ForgetSeeder();
                return new ControlReply();
            case ControlRequest.Umount:
                await _asked.CancelAsync();
                return new ControlReply { Unmounted = true, Error = await _outcome.Task };
            default:
                return new ControlReply { Error = $"A leech's process knows no '{request.Verb}'." };
        }
    }
}
