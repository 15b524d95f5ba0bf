using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Farspan.Cli.Mounting;
using Farspan.Linux.Probes;

namespace Farspan.Cli.Doctor;

/// <summary>Finds out what this machine can do, by trying.</summary>
internal static class Examination
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Tries everything and undoes it.</summary>
    public static async Task<DoctorReport> RunAsync(CancellationToken cancellationToken)
    {
        List<Finding> findings =
        [
            new Finding(".NET", FindingState.Ok, "everything", $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}"),
            new Finding("kernel", FindingState.Ok, "everything", $"Linux {Environment.OSVersion.Version}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} processors"),
            await TryBaseAsync("TCP on loopback", "serve, copy, mount", TryTcpAsync, "allow 127.0.0.1; is the interface lo up?", cancellationToken),
            await TryBaseAsync("Unix sockets", "serve, umount", TryUnixSocketAsync, "make the directory for temporary files writable (TMPDIR)", cancellationToken),
            await TryBaseAsync("runtime directory", "mount, umount", TryRuntimeDirectoryAsync, "set FARSPAN_RUNTIME_DIR to a directory of yours", cancellationToken),
            Finding.Of(KernelFeatures.ProbeFuseDevice(), "mount"),
            await TryFuseAsync(cancellationToken),
            Fusermount(),
            Finding.Of(KernelFeatures.ProbeFuseOverIoUring(), "faster mounts, later"),
            Finding.Of(KernelFeatures.ProbeLoop(), "a block device on a mounted file (losetup)"),
            .. KernelFeatures.ProbeUserfaults().Select(feature => Finding.Of(feature, UserfaultPurpose(feature.Name))),
            Finding.Of(KernelFeatures.ProbeIoUring(), "faster files, later"),
            Finding.Of(KernelFeatures.ProbeNbd(), "mount --via nbd, later"),
            Finding.Of(KernelFeatures.ProbeUblk(), "mount --via ublk, later"),
            await TryUserNamespaceAsync(cancellationToken),
            OpenFiles(),
            LockedMemory(),
        ];
        return new DoctorReport(!findings.Exists(finding => finding.State == FindingState.Broken), findings);
    }

    private static string UserfaultPurpose(string name) => name[(name.IndexOf(' ', StringComparison.Ordinal) + 1)..] switch
    {
        "of the kernel" => "system calls on remote memory",
        "write-protect" => "remote memory that is written",
        "tracking" => "remote memory in process that is written",
        "shared memory" => "remote memory for other processes (uffd-agent)",
        "poison" => "remote errors as SIGBUS",
        "move" => "faster eviction, later",
        _ => "remote memory",
    };

    private static async Task<Finding> TryBaseAsync(
        string name, string purpose, Func<CancellationToken, Task<string>> attempt, string remedy, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Patience);
        try
        {
            return new Finding(name, FindingState.Ok, purpose, await attempt(deadline.Token));
        }
        catch (Exception error) when (error is IOException or SocketException or UnauthorizedAccessException)
        {
            return new Finding(name, FindingState.Broken, purpose, error.Message, remedy);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Finding(name, FindingState.Broken, purpose, $"no answer within {Patience.TotalSeconds:0} s", remedy);
        }
    }

    private static async Task<string> TryTcpAsync(CancellationToken cancellationToken)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await ExchangeAsync(listener, cancellationToken);
        return "a byte went there and back";
    }

    private static async Task<string> TryUnixSocketAsync(CancellationToken cancellationToken)
    {
        var directory = Directory.CreateTempSubdirectory("farspan-");
        try
        {
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(directory.FullName, "s")));
            await ExchangeAsync(listener, cancellationToken);
            return $"in {Path.GetTempPath()}";
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static async Task ExchangeAsync(Socket listener, CancellationToken cancellationToken)
    {
        listener.Listen(1);
        using var client = new Socket(listener.AddressFamily, SocketType.Stream, listener.ProtocolType);
        var accepting = listener.AcceptAsync(cancellationToken).AsTask();
        await client.ConnectAsync(listener.LocalEndPoint!, cancellationToken);
        using var server = await accepting;
        byte[] buffer = [42];
        await client.SendAsync(buffer, cancellationToken);
        await server.ReceiveAsync(buffer, cancellationToken);
    }

    private static Task<string> TryRuntimeDirectoryAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        bool wasThere = Directory.Exists(RuntimeDirectory.Path);
        string path = RuntimeDirectory.Create();
        string file = Path.Combine(path, $"doctor.{Environment.ProcessId}");
        File.WriteAllText(file, "");
        File.Delete(file);
        if (!wasThere)
            Directory.Delete(path);
        return Task.FromResult(path);
    }

    private static async Task<Finding> TryFuseAsync(CancellationToken cancellationToken)
    {
        const string name = "a mounted file";
        const string purpose = "mount";
        return await FuseTrial.WhyNotAsync(cancellationToken) is { } reason
            ? new Finding(name, FindingState.Missing, purpose, reason, "see /dev/fuse and fusermount3; until then, use copy and serve")
            : new Finding(name, FindingState.Ok, purpose, "one was mounted and unmounted");
    }

    private static Finding Fusermount()
    {
        const string name = "fusermount3";
        const string purpose = "mount by users other than root";
        string? program = Programs.Find(name);
        if (program is null)
            return new Finding(name, FindingState.Missing, purpose, "not on the PATH", "install the package fuse3");
        return (File.GetUnixFileMode(program) & UnixFileMode.SetUser) != 0
            ? new Finding(name, FindingState.Ok, purpose, program)
            : new Finding(name, FindingState.Missing, purpose, $"{program} is not set-user-id", $"as root: chmod u+s {program}");
    }

    private static async Task<Finding> TryUserNamespaceAsync(CancellationToken cancellationToken)
    {
        const string name = "user namespaces";
        const string purpose = "mount in a private namespace, tests";
        const string remedy = "as root: sysctl user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1";
        if (Programs.Find("unshare") is not { } unshare)
            return new Finding(name, FindingState.Missing, purpose, "the program unshare is not here to try with", "install the package util-linux");
        var start = new ProcessStartInfo(unshare, ["--user", "--map-root-user", "true"]) { UseShellExecute = false, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0
            ? new Finding(name, FindingState.Ok, purpose, "one was made")
            : new Finding(name, FindingState.Missing, purpose, error.Trim(), remedy);
    }

    private static Finding OpenFiles()
    {
        const long enough = 4096;
        string limit = Limit("Max open files");
        return long.TryParse(limit, out long files) && files < enough
            ? new Finding("open files", FindingState.Missing, "many clients, directory backends", $"limit {limit}", $"ulimit -n {enough}, or more")
            : new Finding("open files", FindingState.Ok, "many clients, directory backends", $"limit {limit}");
    }

    private static Finding LockedMemory()
        => new("locked memory", FindingState.Ok, "swap on remote memory, later", $"limit {Limit("Max locked memory")} bytes");

    // The soft limit stands in the second column; columns are separated by at least two spaces.
    private static string Limit(string name)
        => File.ReadLines("/proc/self/limits").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..]
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
}
