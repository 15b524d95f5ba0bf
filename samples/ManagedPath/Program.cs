// Mounts a backend with a cache, gives the path to another program, and shows what a mount tells the program that owns it: hooks, progress and meters.
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Farspan.Backends;
using Farspan.Linux;
using Farspan.Linux.Mounts;
using Farspan.Mounts;
using Farspan.Nbd;
using ManagedPath;

if (args.Length < 3)
{
    Console.Error.WriteLine("usage: ManagedPath BACKEND TARGET PROGRAM [ARGUMENT]..., such as ManagedPath file:disk.img mounted.img sha256sum");
    return 2;
}

// Any collector of System.Diagnostics.Metrics can listen, such as dotnet-counters or OpenTelemetry.
using var meter = new Meter("ManagedPath");
using var listener = new MeterListener();
listener.InstrumentPublished = (instrument, self) =>
{
    if (instrument.Meter == meter && instrument.Name is "farspan.mount.pulled" or "farspan.mount.pushed")
        self.EnableMeasurementEvents(instrument);
};
listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Console.WriteLine($"{instrument.Name}: {value}"));
listener.Start();

long becameLocal = 0;
var options = new ManagedMountOptions
{
    Meter = meter,
    Progress = new ProgressToError(),
    PushInterval = TimeSpan.FromHours(1),
    Hooks = new ManagedMountHooks
    {
        // Called from the mount's own tasks: quick, thread-safe, and without an exception.
        BecameLocal = (_, length) => Interlocked.Add(ref becameLocal, length),
        OutageBegan = outage => Console.Error.WriteLine($"the remote does not answer: {outage.LastError.Message}"),
        OutageEnded = outage => Console.Error.WriteLine($"the remote answers again; it was gone since {outage.Since}"),

        // Awaited before what is dirty is pushed, and before the mount closes: the place to finish what the program still holds back.
        BeforeSync = _ => Tell("before a round of pushes"),
        BeforeClose = _ => Tell("before the close"),
    },
};
var backends = new BackendRegistry().AddCoreBackends().AddLinuxBackends().AddNbdBackends();
await using ManagedMount mount = await RemoteMount.OpenManagedAsync(args[0], backends, args[1], options);
Console.WriteLine($"mounted {mount.Length} bytes at {mount.Path}");

using (var program = Process.Start(args[2], [.. args[3..], mount.Path]))
{
    await program.WaitForExitAsync();
    Console.WriteLine($"{args[2]} ended with {program.ExitCode}");
}

listener.RecordObservableInstruments();
MountCloseReport report = await mount.CloseAsync();
Console.WriteLine($"became local: {becameLocal} bytes");
Console.WriteLine(report.IsComplete ? "everything is at the remote" : $"{report.UnpushedBytes} bytes are lost: {report.Error?.Message}");
return report.IsComplete ? 0 : 1;

static ValueTask Tell(string what)
{
    Console.WriteLine(what);
    return ValueTask.CompletedTask;
}
