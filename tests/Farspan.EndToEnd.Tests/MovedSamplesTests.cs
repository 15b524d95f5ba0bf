using System.Globalization;
using System.Text.RegularExpressions;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests;

/// <summary>The samples that move something from one host to another, over a simulated line between two network namespaces.</summary>
public sealed partial class MovedSamplesTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    [RequiresFact("root", "fuse", "ip", "nsenter", "qemu-system-x86_64", "gcc", Timeout = 300_000)]
    public async Task MovedMachine_GoesOnWhereItStoppedAndHasItsMemory()
    {
        string output = await RunAsync("MovedMachine", "--line", "rtt=10ms,rate=1Gbit", "--memory", "32", "farspan");
        var report = MachineReport().Match(output);
        Assert.True(report.Success, output);

        // Two rounds of checks on the second host at least, and bytes on the line that no machine of 32 MiB could do without or would need twice.
        Assert.InRange(int.Parse(report.Groups["rounds"].ValueSpan, CultureInfo.InvariantCulture), 3, int.MaxValue);
        Assert.InRange(double.Parse(report.Groups["sent"].ValueSpan, CultureInfo.InvariantCulture), 28, 64);
    }

    [RequiresFact("root", "fuse", "ip", "nsenter", Timeout = 300_000)]
    public async Task MovedTodo_GoesOnInTheMiddleOfAWord()
    {
        string output = await RunAsync("MovedTodo", "--line", "rtt=10ms,rate=1Gbit");
        Assert.EndsWith(
            """
            to do, after 56 keys (/done N, Ctrl-C or Ctrl-D suspends):
              1 [x] Buy milk
              2 [ ] Call Grace about the sailing trip
            > Write

            """,
            output, StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(string sample, params string[] arguments)
    {
        await using var moved = await PeerProcess.RunAsync(RepositoryRoot.Combine("samples", sample, "run"), arguments, Patience);
        Assert.True(moved.ExitCode == 0, moved.Report);
        return moved.Output;
    }

    [GeneratedRegex(
        @"^farspan +stood still +\d+ ms, .* in all +(?<sent>[\d.]+) MiB in +\d+ ms; ticks 1 to \d+ without a gap, 0 pages wrong in (?<rounds>\d+) rounds$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex MachineReport();
}
