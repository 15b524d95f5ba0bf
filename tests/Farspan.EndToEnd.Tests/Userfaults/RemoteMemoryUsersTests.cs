using System.Text.Json;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Userfaults;

/// <summary>Remote memory for users with fewer rights than root, and what it and <c>farspan doctor</c> tell them.</summary>
public sealed class RemoteMemoryUsersTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    private static readonly string[] s_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];

    // What a container does whose profile does not list the call.
    private const string Launcher =
        """
        #include <errno.h>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        #include <stddef.h>
        #include <sys/prctl.h>
        #include <sys/syscall.h>
        #include <unistd.h>

        int main(int argc, char **argv)
        {
            struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_userfaultfd, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            };
            struct sock_fprog program = { sizeof code / sizeof *code, code };
            if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
                return 2;
            execvp(argv[1], argv + 1);
            return 3;
        }
        """;

    [RequiresTheory("root", "userfault", "setpriv")]
    [InlineData("copy")]
    [InlineData("view")]
    public async Task UserWithoutPrivileges_HasRemoteMemory(string way)
    {
        string said = await PeerProcess.RunOkAsync("setpriv", [.. s_nobody, FuseHost.Program, "--use-userfaults", way, "1"], s_patience);
        Assert.StartsWith("using\nused ", said, StringComparison.Ordinal);
    }

    [RequiresFact("root", "userfault", "setpriv")]
    public async Task Doctor_TellsAUserWithoutPrivileges_WhatIsThere_AndHowToHaveTheRest()
    {
        var findings = await ExamineAsync([]);
        Assert.Equal("ok", findings["userfaults"].State);
        Assert.Equal("ok", findings["userfaults: tracking"].State);
        var kernel = findings["userfaults: of the kernel"];
        bool isAllowed = (await File.ReadAllTextAsync("/proc/sys/vm/unprivileged_userfaultfd")).Trim() == "1";
        Assert.Equal(isAllowed ? "ok" : "missing", kernel.State);
        if (!isAllowed)
            Assert.Contains("vm.unprivileged_userfaultfd", kernel.Remedy, StringComparison.Ordinal);
    }

    [RequiresFact("root", "userfault", "setpriv", "gcc")]
    public async Task UserWithoutUserfaults_IsToldSo_InOneLine()
    {
        using var directory = new TemporaryDirectory();
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0x1ED);
        await File.WriteAllTextAsync(directory["launcher.c"], Launcher);
        await PeerProcess.RunOkAsync("gcc", ["-o", directory["launcher"], directory["launcher.c"]]);
        string said = await PeerProcess.RunOkAsync(
            "setpriv", [.. s_nobody, directory["launcher"], FuseHost.Program, "--use-userfaults", "copy", "1"], s_patience);
        Assert.Equal(
            "refused This system gives this user no userfaults, which remote memory needs: userfaultfd: Operation not permitted (EPERM). 'farspan doctor' says how to enable them.\n",
            said);
        var findings = await ExamineAsync([directory["launcher"]]);
        Assert.Equal("missing", findings["userfaults"].State);
        Assert.Contains("seccomp", findings["userfaults"].Remedy, StringComparison.Ordinal);
    }

    /// <summary>What <c>farspan doctor</c> says to nobody, by name.</summary>
    private static async Task<Dictionary<string, (string State, string Remedy)>> ExamineAsync(string[] launcher)
    {
        using var directory = new TemporaryDirectory();
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0x1FF);
        string program = RepositoryRoot.Combine("farspan");

        // Built by who may.
        await PeerProcess.RunOkAsync(program, ["--version"], s_patience);
        var environment = new Dictionary<string, string> { ["FARSPAN_RUNTIME_DIR"] = directory["run"], ["TMPDIR"] = directory.Path };
        await using var doctor = await PeerProcess.RunAsync(
            "setpriv", [.. s_nobody, .. launcher, program, "doctor", "--json"], s_patience, environment: environment);
        using var report = JsonDocument.Parse(doctor.Output);
        return report.RootElement.GetProperty("findings").EnumerateArray().ToDictionary(
            finding => finding.GetProperty("name").GetString()!,
            finding => (finding.GetProperty("state").GetString()!, finding.TryGetProperty("remedy", out var remedy) ? remedy.GetString()! : ""));
    }
}
