using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Files;

/// <summary>What can be opened, and what cannot: each refusal is one line that says what to do.</summary>
public sealed class LinuxFileOpeningTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Absent_WithoutLength_IsNotFound()
        => AssertRefused(BackendError.NotFound, "size=", _directory["absent"]);

    [Fact]
    public void Absent_ForReading_IsNotFoundAndNotCreated()
    {
        AssertRefused(BackendError.NotFound, "absent", _directory["absent"], new FileBackendOptions { Length = 4096, ReadOnly = true });
        Assert.False(File.Exists(_directory["absent"]));
    }

    [Fact]
    public void OtherLength_IsRefusedAndChangesNothing()
    {
        File.WriteAllBytes(_directory["a"], new byte[100]);
        AssertRefused(BackendError.Invalid, "100 bytes", _directory["a"], new FileBackendOptions { Length = 200 });
        Assert.Equal(100, new FileInfo(_directory["a"]).Length);
    }

    [Fact]
    public void Empty_IsRefused()
    {
        File.WriteAllBytes(_directory["a"], []);
        AssertRefused(BackendError.Invalid, "empty", _directory["a"]);
    }

    [Fact]
    public void Directory_IsRefused()
        => AssertRefused(BackendError.Invalid, "directory", _directory.Path);

    [Theory]
    [InlineData("/dev/null")]
    [InlineData("/dev/tty")]
    public void CharacterDevice_IsRefused(string path)
        => AssertRefused(BackendError.Invalid, "no block device", path);

    [Fact(Timeout = 120_000)]
    public async Task Pipe_IsRefusedWithoutBlocking()
    {
        await PeerProcess.RunOkAsync("mkfifo", [_directory["pipe"]]);
        AssertRefused(BackendError.Invalid, "no block device", _directory["pipe"]);
        AssertRefused(BackendError.Invalid, "no block device", _directory["pipe"], new FileBackendOptions { Length = 4096 });
    }

    [Fact]
    public void LongerThanTheFileSystemAllows_IsRefusedAndLeavesNothingBehind()
    {
        var error = Assert.Throws<BackendException>(
            () => LinuxFileBackend.Open(_directory["a"], new FileBackendOptions { Length = long.MaxValue }));
        Assert.Equal(BackendError.NoSpace, error.Error);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Fact(Timeout = 120_000)]
    public async Task Created_IsSparse()
    {
        await using (LinuxFileBackend.Open(_directory["a"], new FileBackendOptions { Length = 100L << 30 }))
        {
        }

        Assert.Equal(100L << 30, new FileInfo(_directory["a"]).Length);
        string blocks = await PeerProcess.RunOkAsync("stat", ["-c", "%b", _directory["a"]]);
        Assert.Equal("0", blocks.Trim());
    }

    [Fact(Timeout = 120_000)]
    public async Task SecondUser_IsRefusedWhileOneWrites()
    {
        File.WriteAllBytes(_directory["a"], new byte[4096]);
        var readOnly = new FileBackendOptions { ReadOnly = true };
        await using (LinuxFileBackend.Open(_directory["a"]))
        {
            AssertRefused(BackendError.AccessDenied, "lock=off", _directory["a"]);
            AssertRefused(BackendError.AccessDenied, "lock=off", _directory["a"], readOnly);
            await using var unlocked = LinuxFileBackend.Open(_directory["a"], new FileBackendOptions { Lock = false });
        }

        await using var reader = LinuxFileBackend.Open(_directory["a"], readOnly);
        await using var another = LinuxFileBackend.Open(_directory["a"], readOnly);
        AssertRefused(BackendError.AccessDenied, "in use", _directory["a"]);
    }

    [Fact(Timeout = 120_000)]
    public async Task Lock_IsThePortableBackendsToo()
    {
        File.WriteAllBytes(_directory["a"], new byte[4096]);
        await using (FileBackend.Open(_directory["a"]))
            AssertRefused(BackendError.AccessDenied, "in use", _directory["a"]);
        await using (LinuxFileBackend.Open(_directory["a"]))
            Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task RunningProgram_IsOpenedReadOnly()
    {
        // ETXTBSY: the one refusal to write that root gets as well.
        File.Copy("/bin/sleep", _directory["sleep"]);
        await using var running = PeerProcess.Start(_directory["sleep"], ["60"]);
        await using var backend = LinuxFileBackend.Open(_directory["sleep"]);
        Assert.True(backend.IsReadOnly);
        Assert.Equal(BackendError.ReadOnly, (await Assert.ThrowsAsync<BackendException>(
            async () => await backend.WriteAsync(0, new byte[1]))).Error);
        Assert.Null(backend.GetCapability<ITrim>());
        Assert.Null(backend.GetCapability<IZero>());
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyAtOnce_OneCreatesAndTheOthersAreRefused()
    {
        for (int round = 0; round < 20; round++)
        {
            string path = _directory[$"race{round}"];
            var opened = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                try
                {
                    return LinuxFileBackend.Open(path, new FileBackendOptions { Length = 1 << 20 });
                }
                catch (BackendException refusal) when (refusal.Error == BackendError.AccessDenied)
                {
                    return null;
                }
            })));
            var owner = Assert.Single(opened, backend => backend is not null);
            Assert.Equal(1 << 20, owner!.Length);
            await owner.DisposeAsync();
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task Created_IsNeverFoundHalfMade()
    {
        var looking = new FileBackendOptions { ReadOnly = true, Lock = false };
        for (int round = 0; round < 200; round++)
        {
            string path = _directory[$"new{round}"];
            var looker = Task.Run(() =>
            {
                while (true)
                {
                    try
                    {
                        return LinuxFileBackend.Open(path, looking);
                    }
                    catch (BackendException absent) when (absent.Error == BackendError.NotFound)
                    {
                    }
                }
            });
            await using var made = LinuxFileBackend.Open(path, new FileBackendOptions { Length = 1 << 20 });
            await using var found = await looker;
            Assert.Equal(1 << 20, found.Length);
        }

        Assert.Equal(200, Directory.EnumerateFileSystemEntries(_directory.Path).Count());
    }

    [Fact(Timeout = 120_000)]
    public async Task CreatedInTheCurrentDirectoryOrThroughALink_IsThere()
    {
        Directory.CreateDirectory(_directory["real/inner"]);
        Directory.CreateSymbolicLink(_directory["link"], _directory["real/inner"]);
        await using (LinuxFileBackend.Open(_directory["link/../a"], new FileBackendOptions { Length = 4096 }))
            Assert.Equal(["a", "inner"], Directory.EnumerateFileSystemEntries(_directory["real"]).Select(Path.GetFileName).Order());
        string relative = Path.GetRelativePath(Environment.CurrentDirectory, _directory["b"]);
        await using (LinuxFileBackend.Open(relative, new FileBackendOptions { Length = 4096 }))
            Assert.Equal(4096, new FileInfo(_directory["b"]).Length);
    }

    private static void AssertRefused(BackendError error, string says, string path, FileBackendOptions? options = null)
    {
        var refusal = Assert.Throws<BackendException>(() => LinuxFileBackend.Open(path, options));
        Assert.Equal(error, refusal.Error);
        Assert.Contains(says, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
