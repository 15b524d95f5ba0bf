using System.Globalization;
using Farspan.TestKit;
using Farspan.TestKit.Peers;

namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>A program in a process group of its own, that is stopped, goes on, and is killed as a whole.</summary>
internal sealed class ProcessGroup : IAsyncDisposable
{
    private readonly PeerProcess _leader;

    private ProcessGroup(PeerProcess leader) => _leader = leader;

    public int Id => _leader.Id;

    /// <summary>Whether no thread of it runs, or ever will by itself.</summary>
    public bool IsStopped => States().All(static state => state is 'T' or 't' or 'Z' or 'X');

    /// <summary>Starts it; its group is there when this returns.</summary>
    public static ProcessGroup Start(string program, params string[] arguments)
    {
        var group = new ProcessGroup(PeerProcess.Start("setsid", [program, .. arguments]));
        return SpinWait.SpinUntil(() => group._leader.HasExited || group.States().Count > 0, TimeSpan.FromSeconds(30))
            ? group
            : throw new TimeoutException("The program has no group of its own after 30 s.");
    }

    /// <summary>Returns once no thread of it runs.</summary>
    public async Task StopAsync()
    {
        await SignalAsync("STOP");
        await Eventually.HoldsAsync(() => IsStopped);
    }

    public Task ContinueAsync() => SignalAsync("CONT");

    /// <summary>Returns once nothing of it is left.</summary>
    public async Task KillAsync()
    {
        await SignalAsync("KILL");
        await Eventually.HoldsAsync(() => States().All(state => state is 'Z' or 'X'));
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        await _leader.DisposeAsync();
    }

    private async Task SignalAsync(string signal) => await (await PeerProcess.RunAsync("kill", [$"-{signal}", "--", $"-{Id}"])).DisposeAsync();

    private List<char> States()
    {
        var states = new List<char>();
        foreach (string process in Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            try
            {
                if (Fields(process + "/stat")[2] == Id.ToString(CultureInfo.InvariantCulture))
                    states.AddRange(Directory.EnumerateDirectories(process + "/task").Select(task => Fields(task + "/stat")[0][0]));
            }
            catch (IOException)
            {
                // It ended meanwhile.
            }
        }

        return states;
    }

    // What follows the name: state, parent, group.
    private static string[] Fields(string stat)
    {
        string line = File.ReadAllText(stat);
        return line[(line.LastIndexOf(')') + 2)..].Split(' ');
    }
}
