using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.Linux.Migration;
using Farspan.Migration;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Migration;

/// <summary>One <c>farspan seed</c>: a region as a file, for a program here and for a leecher, until the leecher has it or this process is told to end.</summary>
internal sealed class SeedService(SeedSettings settings, MoveOutput output, ILogger logger)
{
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
        var store = await opened.OpenRegionAsync(settings.Backend, ending);
        if (record.Role == RegionRole.None)
            await new RegionRecordFile(files).WriteAsync(record = RegionRecord.Begin(Guid.NewGuid()));
        var owned = await opened.LeaseAsync(store, record.Region, ending);
        Seeder seeder = null!;
        var mount = new RegionMount(settings.Target, settings.Fuse, hook, () => seeder.Record, logger);
        seeder = await Seeder.OpenAsync(files, owned, mount.Host, new SeederOptions { ChunkSize = settings.ChunkSize, StepTimeout = settings.StepTimeout, Behind = behind });
        string? failure = "it failed";
        try
        {
            await using var seeding = new Seeding(seeder.Description, mount, listeners, settings.Exports, settings.Backend, output, logger);
            mount.Show(seeder.Backend);
            seeding.Begin(seeder);
            await using var control = await MoveControl.StartAsync(settings.Target, settings.Target, settings.Backend, "seed", seeding.Uris, seeding.AnswerAsync);
            try
            {
                failure = await SeedAsync(seeder, mount, seeding, ending, insisting);
            }
            finally
            {
                seeding.Tell(failure);
            }
        }
        finally
        {
            await seeder.DisposeAsync();
        }

        if (failure is not null)
            throw new CommandException(failure);
    }

    private async Task<string?> SeedAsync(Seeder seeder, RegionMount mount, Seeding seeding, CancellationToken ending, CancellationToken insisting)
    {
        var last = seeder.Record;
        try
        {
            mount.Begin();
            if (settings.TakeBack)
            {
                await seeder.TakeBackByForceAsync(ending);
                last = seeder.Record;
                output.Write(seeding.Happened("taken-back"));
            }
            else if (last.MayWrite)
            {
                await mount.MountAsync(ending);
                if (settings.Resumes)
                    await mount.Host.ResumeAsync(ending);
            }

            seeding.Serve();
            output.Write(seeding.Happened("ready") with { Uris = seeding.Uris, Length = seeder.Description.Length, ProcessId = Environment.ProcessId });
            return await seeding.RunAsync(last, ending, insisting);
        }
        catch
        {
            await seeding.DisposeAsync();
            await mount.AbandonAsync();
            throw;
        }
    }
}
