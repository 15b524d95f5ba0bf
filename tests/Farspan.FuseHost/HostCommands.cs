using System.Diagnostics;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Migration;

namespace Farspan.FuseHost;

/// <summary>What a test can tell the host to do while it serves.</summary>
internal sealed class HostCommands(KnobBackend backend, FuseMount mount, RegionFace? face) : IDisposable
{
    private readonly CancellationTokenSource _collecting = new();
    private readonly ProgramHost _host = Host(mount, face);
    private Thread? _collector;

    /// <summary>Runs one command and returns its answer.</summary>
    public async Task<string> RunAsync(string[] words)
    {
        switch (words[0])
        {
            case "unmount":
                await mount.UnmountAsync();
                return "unmounted";
            case "dispose":
                await mount.DisposeAsync();
                return "disposed";
            case "exit":
                Environment.Exit(7);
                return "";
            case "wait":
                await mount.Completion.WaitAsync(TimeSpan.FromSeconds(30));
                return "completed";
            case "hold":
                backend.Hold(words[1] == "on");
                return "ok";
            case "lend":
                backend.Lends = words[1] == "on";
                return "ok";
            case "delay":
                backend.Delay = words[1] == "off" ? null : TimeSpan.FromMilliseconds(double.Parse(words[1]));
                return "ok";
            case "fail":
                Fail(words[1], words[2] == "off" ? null : Enum.Parse<BackendError>(words[2]));
                return "ok";
            case "peek":
                return Convert.ToHexStringLower(await backend.PeekAsync(long.Parse(words[1]), int.Parse(words[2])));
            case "poke":
                await backend.PokeAsync(long.Parse(words[1]), Convert.FromHexString(words[2]));
                return "ok";
            case "write-back":
                await _host.WriteBackAsync(CancellationToken.None);
                return "ok";
            case "suspend":
                await _host.SuspendAsync(CancellationToken.None);
                return "ok";
            case "resume":
                await _host.ResumeAsync(CancellationToken.None);
                return "ok";
            case "depart":
                await _host.DepartAsync("it has moved", CancellationToken.None);
                return "ok";
            case "collect":
                _collector ??= StartCollecting();
                return "ok";
            case "counts":
                return $"{backend.Counts} collections={GC.CollectionCount(0)} allocated={GC.GetTotalAllocatedBytes(precise: true)}";
            case "process":
                using (var self = Process.GetCurrentProcess())
                    return $"threads={self.Threads.Count} descriptors={Directory.GetFiles("/proc/self/fd").Length} memory={self.WorkingSet64}";
            default:
                throw new IOException($"'{words[0]}' is no command.");
        }
    }

    public void Dispose()
    {
        _collecting.Cancel();
        _collector?.Join();
        _collecting.Dispose();
    }

    private static ProgramHost Host(FuseMount mount, RegionFace? face)
    {
        var host = new ProgramHost(new CallbackHook(), () => new HookSubject(mount.Path, Guid.Empty, 1));
        if (face is not null)
            host.Attach(face, mount);
        return host;
    }

    private void Fail(string operation, BackendError? error)
    {
        switch (operation)
        {
            case "read":
                backend.ReadError = error;
                break;
            case "write":
                backend.WriteError = error;
                break;
            case "flush":
                backend.FlushError = error;
                break;
            default:
                throw new IOException($"'{operation}' cannot fail.");
        }
    }

    private Thread StartCollecting()
    {
        var thread = new Thread(() =>
        {
            object? garbage = null;
            var pause = new SpinWait();
            while (!_collecting.IsCancellationRequested)
            {
                int seen = backend.CallCount;
                for (int i = 0; i < 100; i++)
                    garbage = new byte[1000];
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
                // One collection a call, begun while that is under way: without pause, on a busy machine, a thread that comes back from the
                // kernel meets the next collection hundreds of times over, and every request takes a second.
                while (backend.CallCount == seen && !_collecting.IsCancellationRequested)
                    pause.SpinOnce();
            }

            GC.KeepAlive(garbage);
        })
        {
            Name = "collector",
            IsBackground = true,
        };
        thread.Start();
        return thread;
    }
}
