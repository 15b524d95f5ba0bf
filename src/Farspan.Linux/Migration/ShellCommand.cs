using System.Collections;
using System.Runtime.InteropServices;
using System.Text;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Migration;

/// <summary>Runs what a user wrote as <c>/bin/sh -c</c> does, in a process group of its own, with nothing on its standard input.</summary>
internal static unsafe class ShellCommand
{
    private const int MaximumOutput = 2048;
    private const int PipeCapacity = 64 << 10;
    private const int Look = 5;
    private const int KillPatience = 1000;
    private const ulong SigPipe = 1UL << (13 - 1);

    /// <summary>Runs a command to its end. What it leaves running in the background is not waited for.</summary>
    /// <param name="command">The command.</param>
    /// <param name="variables">What is added to this process's environment, each as <c>NAME=value</c>.</param>
    /// <param name="cancellationToken">Kills the command's process group.</param>
    /// <exception cref="HookException">It ended with another exit code than 0; the message has the end of what it printed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled, and killed.</exception>
    public static Task RunAsync(string command, IReadOnlyList<string> variables, CancellationToken cancellationToken)
        => Task.Factory.StartNew(
            () => Run(command, variables, cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);

    private static void Run(string command, IReadOnlyList<string> variables, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var output = new List<byte>();
        int processId = Start(command, variables, out var pipe);
        int status;
        using (pipe)
        {
            while (!HasEnded(processId, out status))
            {
                if (cancellationToken.IsCancellationRequested)
                {
                    Kill(processId);
                    throw new OperationCanceledException($"'{command}' took too long and was killed{Said(output)}", cancellationToken);
                }

                Collect(pipe, output, Look);
            }

            for (int read = 0; read < PipeCapacity && Collect(pipe, output, patience: 0) is > 0 and var length; read += length)
            {
            }
        }

        if (status != 0)
            throw new HookException($"'{command}' {HowItEnded(status)}{Said(output)}");
    }

    private static int Start(string command, IReadOnlyList<string> variables, out SafeDescriptor readEnd)
    {
        int* pipe = stackalloc int[2];
        if (Libc.Pipe(pipe, Libc.O_CLOEXEC) != 0)
            throw LinuxError.Exception(LinuxError.Last, "creating a pipe");
        readEnd = new SafeDescriptor(pipe[0]);
        using var writeEnd = new SafeDescriptor(pipe[1]);
        using var nothing = new SafeDescriptor(Libc.Open("/dev/null", Libc.O_RDWR | Libc.O_CLOEXEC, 0));
        using var arguments = new NativeStrings(["/bin/sh", "-c", command]);
        using var environment = new NativeStrings(Environment(variables));
        byte* actions = stackalloc byte[Libc.SpawnFileActionsLength];
        byte* attributes = stackalloc byte[Libc.SpawnAttributesLength];
        ulong* signals = stackalloc ulong[16];
        new Span<ulong>(signals, 16).Clear();
        _ = Libc.InitSpawnFileActions(actions);
        _ = Libc.InitSpawnAttributes(attributes);
        try
        {
            _ = Libc.AddSpawnDuplicate(actions, nothing.Number, 0);
            _ = Libc.AddSpawnDuplicate(actions, writeEnd.Number, 1);
            _ = Libc.AddSpawnDuplicate(actions, writeEnd.Number, 2);
            _ = Libc.SetSpawnFlags(attributes, Libc.POSIX_SPAWN_SETPGROUP | Libc.POSIX_SPAWN_SETSIGDEF | Libc.POSIX_SPAWN_SETSIGMASK);
            _ = Libc.SetSpawnGroup(attributes, 0);
            _ = Libc.SetSpawnSignalMask(attributes, signals);

            // The runtime ignores it, and what is ignored stays so in a new program.
            signals[0] = SigPipe;
            _ = Libc.SetSpawnSignalDefaults(attributes, signals);
            int processId;
            int errno = Libc.Spawn(&processId, arguments.List[0], actions, attributes, arguments.List, environment.List);
            if (errno == 0)
                return processId;
            readEnd.Dispose();
            throw new HookException($"Cannot start /bin/sh: {Marshal.GetPInvokeErrorMessage(errno)}.");
        }
        finally
        {
            _ = Libc.DestroySpawnFileActions(actions);
            _ = Libc.DestroySpawnAttributes(attributes);
        }
    }

    private static List<string> Environment(IReadOnlyList<string> variables)
    {
        var all = new List<string>(variables);
        foreach (DictionaryEntry variable in System.Environment.GetEnvironmentVariables())
        {
            string start = $"{variable.Key}=";
            if (!variables.Any(own => own.StartsWith(start, StringComparison.Ordinal)))
                all.Add(start + variable.Value);
        }

        return all;
    }

    private static bool HasEnded(int processId, out int status)
    {
        int found = 0;
        int waited;
        do
            waited = Libc.WaitForProcess(processId, &found, Libc.WNOHANG);
        while (waited < 0 && LinuxError.Last == Errno.EINTR);

        // One that somebody else has waited for has ended in a way that nobody knows.
        status = waited < 0 ? 0xFF00 : found;
        return waited != 0;
    }

    // One that stands inside a call of the system dies once that lets go of it.
    private static void Kill(int processId)
    {
        _ = Libc.Kill(-processId, Libc.SIGKILL);
        for (int waited = 0; waited < KillPatience && !HasEnded(processId, out _); waited++)
            Thread.Sleep(1);
    }

    // Reads what is there, waiting a little for it; the end of a pipe is its program's, which others may hold open in the background.
    private static int Collect(SafeDescriptor pipe, List<byte> output, int patience)
    {
        const int most = 4096;
        byte* buffer = stackalloc byte[most];
        var entry = new PollEntry { Descriptor = pipe.Number, Wanted = Libc.POLLIN };
        if (Libc.Poll(&entry, 1, patience) <= 0)
            return 0;
        nint length = (entry.Found & Libc.POLLIN) != 0 ? Libc.Read(pipe.Number, buffer, most) : 0;
        if (length > 0)
            output.AddRange(new ReadOnlySpan<byte>(buffer, (int)length));
        else if (patience > 0)
            Thread.Sleep(1);
        if (output.Count > MaximumOutput)
            output.RemoveRange(0, output.Count - MaximumOutput);
        return (int)length;
    }

    private static string HowItEnded(int status) => (status & 0x7F) == 0 ? $"ended with exit code {(status >> 8) & 0xFF}" : $"was ended by signal {status & 0x7F}";

    private static string Said(List<byte> output)
        => Encoding.UTF8.GetString([.. output]).ReplaceLineEndings(" ").Trim() is { Length: > 0 } text ? $": {text}" : "";
}
