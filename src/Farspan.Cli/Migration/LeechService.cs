using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;
using Farspan.Linux.Migration;
using Farspan.Migration;
using Farspan.Units;
using Farspan.Wire.Client;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>One <c>farspan leech</c>: gets a region from another host, and is the file that its program uses from then on, until told to end.</summary>
internal sealed class LeechService(LeechSettings settings, MoveOutput output, ILogger logger) : IDisposable
{
    private const PosixSignal SigUsr1 = (PosixSignal)10;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_report = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_giveUpPatience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _asked = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Leecher _leecher = null!;
    private RegionFace _face = null!;
    private FuseMount? _mount;

    /// <summary>Moves the region here, and serves it until told to end, or until it is given up.</summary>
    /// <exception cref="BackendException">The source or the store cannot be opened, or the last flush failed.</exception>
    /// <exception cref="CommandException">The region is here already, the target is in use, or something is still missing.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _asked.Token);
        await using var files = RegionFiles.Open(RegionFiles.DirectoryFor(settings.Local, settings.State));
        Check(await RegionRecordFile.ReadAsync(files));
        await using var source = await FarspanSeeder.OpenAsync(
            BackendUri.Parse(settings.Source), new BackendOpenOptions { Timeout = settings.Timeout }, new FarspanSeederOptions { Compresses = settings.Compress }, cancellationToken);
        var host = new ProgramHost(settings.Hooks.Create(), () => new HookSubject(_mount?.Path ?? settings.Target, _leecher.Record.Region, _leecher.Record.Epoch))
        {
            Attaching = _ready.Task.WaitAsync,
        };
        await using var opened = new OpenedStores(registry, settings.Timeout);
        var options = new LeecherOptions
        {
            Policy = settings.Policy, StepTimeout = settings.StepTimeout, Behind = await opened.OpenBehindAsync(settings.Behind, cancellationToken),
            Sources = await opened.OpenSourcesAsync(settings.Sources, cancellationToken),
        };
        var store = await LocalStore.OpenAsync(registry, settings.Local, source.Description.Length, settings.Timeout, cancellationToken);
        try
        {
            _leecher = await Leecher.OpenAsync(files, store, source, host, options, cancellationToken);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        string? failure = "it failed";
        try
        {
            _face = new RegionFace(_leecher.Backend);
            host.Attach(_face, mount: null);
            await using var control = await MoveControl.StartAsync(settings.Target, settings.Target, settings.Local, "leech", listens: null, AnswerAsync);
            using var finalize = PosixSignalRegistration.Create(SigUsr1, context =>
            {
                context.Cancel = true;
                _leecher.RequestFinalize();
            });
            try
            {
                failure = await LeechAsync(host, source.Description, ending.Token);
            }
            finally
            {
                _outcome.TrySetResult(failure);
            }
        }
        finally
        {
            _ready.TrySetCanceled(CancellationToken.None);
            await _leecher.DisposeAsync();
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

    private async Task<string?> LeechAsync(ProgramHost host, SeederDescription description, CancellationToken ending)
    {
        try
        {
            // Where it came in an earlier run, the program of that time has lost its file.
            bool wasHere = _leecher.Accepted.IsCompletedSuccessfully;
            if (!wasHere)
                await _face.HoldAsync(ending);
            _mount = await FuseMount.MountAsync(_face.Backend, settings.Target, settings.Fuse, ending);
            _ready.TrySetResult();
            if (wasHere)
                await host.ResumeAsync(ending);
            output.Write(Happened("ready") with { Length = description.Length, ProcessId = Environment.ProcessId });
            await using (ProgressLine.Start(Console.Error, settings.Progress, "leech", description.Length, () => description.Length - _leecher.Status.MissingBytes, "waiting for the hand-over"))
                await FollowAsync(ending);
            return await EndAsync();
        }
        finally
        {
            if (_mount is not null)
                await _mount.DisposeAsync();
        }
    }

    /// <summary>Says what happens until the move has ended and this process is to end, or the move was given up.</summary>
    private async Task FollowAsync(CancellationToken ending)
    {
        bool isAccepted = false, isCompleted = false;
        string? trouble = null;
        var clock = TimeProvider.System;
        long reported = clock.GetTimestamp();
        while (!ending.IsCancellationRequested)
        {
            if (!isAccepted && _leecher.Accepted.IsCompletedSuccessfully)
            {
                isAccepted = true;
                output.Write(Happened("received") with { Pause = _leecher.Status.HandOverTime?.TotalMilliseconds });
            }

            if (!isCompleted && _leecher.Completed.IsCompletedSuccessfully)
            {
                isCompleted = true;
                if (!await _leecher.Completed)
                    return;
                output.Write(Happened("completed"));
            }

            if (isAccepted && _mount is { Completion.IsCompleted: true })
                return;
            if (_leecher.Trouble is var now && now != trouble && now is not null && !isCompleted)
                output.Write(Happened("trouble") with { Error = now });
            trouble = now;
            if (!isCompleted && clock.GetElapsedTime(reported) > s_report)
            {
                output.Write(Happened("progress"));
                reported = clock.GetTimestamp();
            }

            await Task.WhenAny(Task.Delay(s_look, clock, CancellationToken.None), isAccepted ? Never : _leecher.Accepted, isCompleted ? Never : _leecher.Completed);
        }
    }

    private static Task Never { get; } = new TaskCompletionSource().Task;

    private async Task<string?> EndAsync()
    {
        bool isGivenUp = _leecher.Completed is { IsCompletedSuccessfully: true, Result: false };
        if (!isGivenUp && !_leecher.Accepted.IsCompletedSuccessfully)
        {
            using var patience = new CancellationTokenSource(s_giveUpPatience);
            try
            {
                isGivenUp = await _leecher.GiveUpAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _face.Refuse("The move was given up.");
                await EndMountAsync(mayFail: true);
                return $"given up, but {settings.Source} could not be told; the same command tells it, or forgets it after a while";
            }
        }

        if (isGivenUp)
        {
            _face.Refuse("The move was given up.");
            await EndMountAsync(mayFail: true);
            output.Write(Happened("given-up"));
            return null;
        }

        await EndMountAsync(mayFail: false);
        bool isComplete = _leecher.Completed is { IsCompletedSuccessfully: true, Result: true };
        if (!isComplete)
            return $"stopped; {ByteSize.Format(_leecher.Status.MissingBytes)} of the region are still at {settings.Source}, and the same command goes on with them";
        output.Write(Happened("stopped") with { Error = $"everything is flushed, and the region is here: 'farspan seed {settings.Local} TARGET' lets a program use it" });
        return null;
    }

    private async Task EndMountAsync(bool mayFail)
    {
        if (_mount is not { } mount)
            return;
        _mount = null;
        try
        {
            await mount.DisposeAsync();
            await mount.Completion;
        }
        catch (IOException error) when (mayFail)
        {
            logger.LogInformation("{Message}", error.Message);
        }
    }

    private MoveEvent Happened(string what)
    {
        var record = _leecher.Record;
        var status = _leecher.Status;
        return new MoveEvent(what)
        {
            Source = settings.Source, Backend = settings.Local, Target = _mount?.Path, Role = RegionText.Of(record.Role),
            Region = record.Region == Guid.Empty ? null : record.Region, Epoch = record.Epoch, Token = record.Token == Guid.Empty ? null : record.Token,
            Missing = status.MissingBytes, Moved = status.ReceivedBytes, Rate = (long)status.BytesPerSecond, Rounds = status.Rounds,
        };
    }

    private async Task<ControlReply> AnswerAsync(MoveControl control, ControlRequest request)
    {
        var status = _leecher.Status;
        switch (request.Verb)
        {
            case ControlRequest.Status:
                return new ControlReply
                {
                    Status = control.Report("open").With(_leecher.Record) with { Length = status.RegionBytes, MissingBytes = status.MissingBytes, LastError = _leecher.Trouble },
                };
            case ControlRequest.Finalize:
                _leecher.RequestFinalize();
                return new ControlReply();
            case ControlRequest.ForgetSeeder when !_leecher.Accepted.IsCompletedSuccessfully:
                return new ControlReply { Error = "The region has not come yet, so that nothing can be ended without its seeder; Ctrl-C gives the move up." };
            case ControlRequest.ForgetSeeder:
                _leecher.ForgetSeeder();
                return new ControlReply();
            case ControlRequest.Umount:
                await _asked.CancelAsync();
                return new ControlReply { Unmounted = true, Error = await _outcome.Task };
            default:
                return new ControlReply { Error = $"A leech's process knows no '{request.Verb}'." };
        }
    }
}
