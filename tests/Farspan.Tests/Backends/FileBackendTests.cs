using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class FileBackendTests : BackendContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private int _created;

    protected override IReadOnlyCollection<Type> Powers => [typeof(IConcurrentWriters)];

    protected override bool IsPersistent => true;

    private string Last => _directory[$"{_created}.img"];

    public void Dispose() => _directory.Dispose();

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        _created++;
        return new ValueTask<IBackend>(FileBackend.Open(Last, new FileBackendOptions { Length = length }));
    }

    protected override ValueTask<IBackend> ReopenAsync(long length) => new(FileBackend.Open(Last));

    [Fact]
    public void Absent_WithoutLength_IsOneClearError()
    {
        var error = Assert.Throws<BackendException>(() => FileBackend.Open(_directory["absent.img"]));
        Assert.Equal(BackendError.NotFound, error.Error);
        Assert.Contains("size=", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherLength_IsOneClearErrorAndChangesNothing()
    {
        File.WriteAllBytes(_directory["a"], new byte[100]);
        var error = Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"], new FileBackendOptions { Length = 200 }));
        Assert.Equal(BackendError.Invalid, error.Error);
        Assert.Contains("100 bytes", error.Message, StringComparison.Ordinal);
        Assert.Equal(100, new FileInfo(_directory["a"]).Length);
    }

    [Fact]
    public void Empty_IsOneClearError()
    {
        File.WriteAllBytes(_directory["a"], []);
        Assert.Equal(BackendError.Invalid, Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"])).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task SecondWriter_IsRefused_ReadersAreNotTogetherWithIt()
    {
        File.WriteAllBytes(_directory["a"], new byte[100]);
        await using (FileBackend.Open(_directory["a"]))
        {
            Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"]));
            Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"], new FileBackendOptions { ReadOnly = true }));
        }

        await using (FileBackend.Open(_directory["a"], new FileBackendOptions { Lock = false }))
        {
            await using var unlocked = FileBackend.Open(_directory["a"], new FileBackendOptions { Lock = false });
        }

        await using var reader = FileBackend.Open(_directory["a"], new FileBackendOptions { ReadOnly = true });
        await using var another = FileBackend.Open(_directory["a"], new FileBackendOptions { ReadOnly = true });
        Assert.Throws<BackendException>(() => FileBackend.Open(_directory["a"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task Shortened_FailsReadsInsteadOfMakingUpZeroes()
    {
        File.WriteAllBytes(_directory["a"], new byte[100]);
        await using var backend = FileBackend.Open(_directory["a"], new FileBackendOptions { Lock = false });
        using (var other = new FileStream(_directory["a"], FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
            other.SetLength(50);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[100]));
        Assert.Equal(BackendError.InputOutput, error.Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task Created_IsNeverFoundHalfMade()
    {
        for (int round = 0; round < 200; round++)
        {
            string path = _directory[$"new{round}"];
            var looker = Task.Run(() =>
            {
                while (true)
                {
                    var found = new FileInfo(path);
                    if (found.Exists)
                        return found.Length;
                }
            });
            await using var made = FileBackend.Open(path, new FileBackendOptions { Length = 1 << 20 });
            Assert.Equal(1 << 20, await looker);
        }

        Assert.Equal(200, Directory.EnumerateFileSystemEntries(_directory.Path).Count());
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
                    return FileBackend.Open(path, new FileBackendOptions { Length = 1 << 20 });
                }
                catch (BackendException refusal) when (refusal.Error == BackendError.AccessDenied)
                {
                    return null;
                }
            })));
            var owner = Assert.Single(opened, backend => backend is not null);
            await owner!.DisposeAsync();
        }
    }

    [Fact]
    public void NoLengthAtAll_IsMisuse()
        => Assert.Throws<ArgumentOutOfRangeException>(() => FileBackend.Open(_directory["a"], new FileBackendOptions { Length = 0 }));
}
