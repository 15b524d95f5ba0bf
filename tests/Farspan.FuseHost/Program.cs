using System.Diagnostics;
using Farspan.Backends;
using Farspan.FuseHost;
using Farspan.Linux.Fuse;
using Farspan.Linux.Migration;
using Microsoft.Extensions.Logging.Abstractions;

// usage: Farspan.FuseHost TARGET [name=value ...]; then one command a line on standard input, one answer a line on standard output.
// It serves a file from memory, in a process of its own, for tests that use the file.
if (args is ["--use-memory", var program, var uri, var place, var seconds])
{
    Console.WriteLine(await MemoryUser.RunAsync(program, uri, place, TimeSpan.FromSeconds(double.Parse(seconds))));
    return 0;
}

if (args is ["--use-userfaults", var way, var userfaultSeconds])
{
    Console.WriteLine(await UserfaultUser.RunAsync(way, TimeSpan.FromSeconds(double.Parse(userfaultSeconds))));
    return 0;
}

if (args is ["--touch-userfaults", var trouble])
{
    await RawToucher.RunAsync(trouble);
    return 0;
}

if (args is ["--use-agent", var agent, var agentSeconds])
{
    Console.WriteLine(await AgentUser.RunAsync(agent, TimeSpan.FromSeconds(double.Parse(agentSeconds))));
    return 0;
}

if (args is ["--obey-agent", var obeyed])
{
    await AgentUser.ObeyAsync(obeyed);
    return 0;
}

if (args is ["--hold-memory", var holdProgram, var holdUri, var holdPlace])
{
    await MemoryUser.HoldAsync(holdProgram, holdUri, holdPlace);
    return 0;
}

var knobs = args.Skip(1).Select(a => a.Split('=', 2)).ToDictionary(a => a[0], a => a.Length > 1 ? a[1] : "on", StringComparer.Ordinal);
string Knob(string name, string otherwise) => knobs.TryGetValue(name, out string? value) ? value : otherwise;

await using var backend = new KnobBackend(long.Parse(Knob("size", "67108864")))
{
    IsReadOnly = Knob("backend-read-only", "off") == "on",
    HasRanges = Knob("ranges", "on") == "on",
    Lends = Knob("lends", "on") == "on",
    IgnoresCancellation = Knob("deaf", "off") == "on",
    Blocks = Knob("blocks", "off") == "on",
    Delay = Knob("delay", "off") is var delay && delay != "off" ? TimeSpan.FromMilliseconds(double.Parse(delay)) : null,
};
var options = new FuseMountOptions
{
    FileName = Knob("name", "export"),
    ReadOnly = Knob("read-only", "off") == "on",
    AllowOther = Knob("allow-other", "off") == "on",
    UseWritebackCache = Knob("writeback", "off") == "on",
    IgnoreOpenTruncation = Knob("ignore-truncation", "on") == "on",
    Threads = int.Parse(Knob("threads", $"{new FuseMountOptions().Threads}")),
    MaximumRequests = int.Parse(Knob("requests", "64")),
    MaximumRequestLength = int.Parse(Knob("longest", $"{new FuseMountOptions().MaximumRequestLength}")),
    Logger = Knob("logger", "off") == "throws" ? new ThrowingLogger() : NullLogger.Instance,
    ReadAhead = long.Parse(Knob("read-ahead", "1048576")),
    CloseTimeout = TimeSpan.FromSeconds(double.Parse(Knob("close-timeout", "30"))),
    BusyTimeout = TimeSpan.FromSeconds(double.Parse(Knob("busy-timeout", "1"))),
};

var face = Knob("face", "off") == "on" ? new RegionFace(backend) : null;
FuseMount mount;
long start = Stopwatch.GetTimestamp();
try
{
    mount = await FuseMount.MountAsync(face?.Backend ?? backend, args[0], options);
}
catch (Exception error) when (error is IOException or ArgumentException)
{
    Console.WriteLine($"refused {error.Message}");
    return 1;
}

Console.WriteLine($"ready {mount.Path} {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0.0}");
var commands = new HostCommands(backend, mount, face);
int exitCode = 0;
while (await Console.In.ReadLineAsync() is { } line)
{
    try
    {
        Console.WriteLine(await commands.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
    }
    catch (Exception error) when (error is IOException or TimeoutException)
    {
        Console.WriteLine($"failed {error.GetType().Name} {error.Message}");
    }
}

commands.Dispose();
try
{
    await mount.DisposeAsync();
}
catch (IOException error)
{
    Console.WriteLine($"failed {error.GetType().Name} {error.Message}");
    exitCode = 1;
}

return exitCode;
