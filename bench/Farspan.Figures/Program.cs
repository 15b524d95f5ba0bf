using Farspan.Figures;
using Farspan.Transports;

if (args is ["relay", var line, _, _, ..])
{
    await LineRelay.RunAsync(LinkOptions.Parse(line), args[2..]);
    return 0;
}

// usage: Farspan.Figures FARSPAN PEERS_DIRECTORY OUTPUT [ROUNDS [SECONDS [FIGURE...]]]; bench/run calls it.
if (args.Length < 3)
{
    await Console.Error.WriteLineAsync("usage: bench/run [ROUNDS [SECONDS [nbd|fuse|wire|mount|userfault|migrate|migrate-many|migrate-cycle|migrate-downtime|migrate-policy|machine ...]]]");
    return 2;
}

string scratch = Directory.CreateTempSubdirectory("ff-").FullName;
try
{
    var options = new FigureOptions
    {
        Farspan = args[0],
        NbdLoad = Path.Combine(args[1], "nbdload"),
        FaultLoad = Path.Combine(args[1], "faultload"),
        UserfaultHandler = Path.Combine(args[1], "uffdhandler"),
        Scratch = scratch,
        Output = args[2],
        Rounds = args.Length > 3 ? int.Parse(args[3]) : 5,
        Seconds = args.Length > 4 ? int.Parse(args[4]) : 2,
    };
    string[] figures = args.Length > 5 ? args[5..] : ["nbd", "fuse"];
    foreach (string figure in figures)
    {
        await (figure switch
        {
            "nbd" => NbdFigure.RunAsync(options),
            "fuse" => FuseFigure.RunAsync(options),
            "wire" => WireFigure.RunAsync(options),
            "mount" => MountFigure.RunAsync(options),
            "userfault" => UserfaultFigure.RunAsync(options),
            "migrate" => MigrationFigure.RunAsync(options),
            "migrate-many" => ManyFigure.RunAsync(options),
            "migrate-cycle" => CycleFigure.RunAsync(options),
            "migrate-downtime" => DowntimeFigure.RunAsync(options),
            "migrate-policy" => PolicyFigure.RunAsync(options),
            "machine" => MachineFigure.RunAsync(options),
            _ => throw new ArgumentException($"'{figure}' is no figure; there are nbd, fuse, wire, mount, userfault, migrate, migrate-many, migrate-cycle, migrate-downtime, migrate-policy and machine."),
        });
    }

    return 0;
}
finally
{
    Directory.Delete(scratch, recursive: true);
}
