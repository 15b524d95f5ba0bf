using Farspan.TestKit.Fsx;

// usage: Farspan.Fsx FILE [SEED [OPERATIONS [no-map,no-direct,no-punch]]]
// A process of its own, because a page fault on a mounted file waits for its server, and ends in SIGBUS where the server fails.
if (args.Length < 1)
{
    await Console.Error.WriteLineAsync("usage: Farspan.Fsx FILE [SEED [OPERATIONS [no-map,no-direct,no-punch]]]");
    return 2;
}

string[] without = args.Length > 3 ? args[3].Split(',') : [];
using var fsx = new FsxRunner(new FsxOptions
{
    Path = args[0],
    Seed = args.Length > 1 ? int.Parse(args[1]) : 1,
    Operations = args.Length > 2 ? int.Parse(args[2]) : 2000,
    Map = !without.Contains("no-map"),
    Direct = !without.Contains("no-direct"),
    Punch = !without.Contains("no-punch"),
});
try
{
    fsx.Run();
}
catch (FsxFailedException failure)
{
    await Console.Error.WriteLineAsync(failure.Message);
    return 1;
}

return 0;
