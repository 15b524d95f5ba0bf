using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Backends;

/// <summary>What <see cref="DirectoryBackend"/> does with its files.</summary>
public sealed class DirectoryBackendFilesTests : IDisposable
{
    private const int Chunk = 4096;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 120_000)]
    public async Task Chunks_GetAFileWhenWritten_AndLoseItWhenTrimmedAsAWhole()
    {
        await using var backend = Create(10 * Chunk);
        Assert.Empty(ChunkFiles());
        await backend.WriteAsync((3 * Chunk) - 1, new byte[] { 1, 2 });
        Assert.Equal(["2", "3"], ChunkFiles());
        await backend.ReadAsync(0, new byte[10 * Chunk]);
        Assert.Equal(["2", "3"], ChunkFiles());
        await backend.TrimAsync((2 * Chunk) + 1, 2 * Chunk);
        Assert.Equal(["2"], ChunkFiles());
        await backend.ZeroAsync(0, 10 * Chunk);
        Assert.Empty(ChunkFiles());
        await backend.ZeroAsync(9 * Chunk, Chunk, ZeroMode.KeepAllocated);
        Assert.Equal(["9"], ChunkFiles());
    }

    [Fact(Timeout = 120_000)]
    public async Task ZeroFastOnly_IsRefusedWhereBytesWouldBeWritten()
    {
        await using var backend = Create(4 * Chunk);
        byte[] data = BackendModel.Bytes(1, 4 * Chunk);
        await backend.WriteAsync(0, data);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ZeroAsync(1, Chunk, ZeroMode.FastOnly));
        Assert.Equal(BackendError.NotSupported, error.Error);
        byte[] buffer = new byte[4 * Chunk];
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
        await backend.ZeroAsync(1, (2 * Chunk) - 1, ZeroMode.FastOnly);
        await backend.TrimAsync(0, 4 * Chunk);
        await backend.ZeroAsync(5, 10, ZeroMode.FastOnly);
    }

    [Fact(Timeout = 120_000)]
    public async Task GroupThatCouldNotBeReadOnce_IsReadAgain()
    {
        byte[] data = BackendModel.Bytes(1, Chunk);
        await using (var first = Create(4 * Chunk))
            await first.WriteAsync(0, data);
        await using var backend = DirectoryBackend.Open(_directory["d"]);
        Directory.Move(_directory["d/0"], _directory["away"]);
        await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[1]));
        Directory.Move(_directory["away"], _directory["d/0"]);
        byte[] actual = new byte[Chunk];
        await backend.ReadAsync(0, actual);
        Assert.Equal(data, actual);
    }

    [Fact(Timeout = 120_000)]
    public async Task Flush_AfterAWriteIntoAGroupThatAnotherIsMaking_MakesTheGroupsNameDurable()
    {
        const long Group = 4096L * Chunk;
        var synced = new ConcurrentQueue<string>();
        await using var backend = DirectoryBackend.Open(
            _directory["d"],
            new DirectoryBackendOptions { Length = 50 * Group, ChunkLength = Chunk, SyncDirectory = synced.Enqueue });
        for (long group = 0; group < 50; group++)
        {
            long start = group * Group;
            synced.Clear();
            using var both = new Barrier(2);
            var other = Task.Run(async () =>
            {
                both.SignalAndWait();
                await backend.WriteAsync(start, new byte[1]);
            });
            await Task.Run(async () =>
            {
                both.SignalAndWait();
                await backend.WriteAsync(start + Chunk, new byte[1]);
                await backend.FlushAsync();
            });
            Assert.Contains(_directory["d"], synced);
            await other;
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(3)]
    [InlineData(7)]
    public async Task OpenFiles_StayWithinTheirNumber_WhateverRunsAtOnce(int seed)
    {
        await using var backend = DirectoryBackend.Open(
            _directory["d"], new DirectoryBackendOptions { Length = 64 * Chunk, ChunkLength = Chunk, OpenFiles = 3 });
        using var stop = new CancellationTokenSource();
        int most = 0;
        var watcher = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
                most = Math.Max(most, backend.OpenFiles);
        });
        await new BackendModelRunner(backend, seed).RunConcurrentAsync(workers: 12, stepsEach: 40);
        await stop.CancelAsync();
        await watcher;
        Assert.InRange(most, 1, 3);
    }

    [Fact(Timeout = 120_000)]
    public async Task TrimsThatRaceWriters_LoseNoLaterWrite()
    {
        // The chunk's file is deleted under its other users again and again; a write that begins after the trim has to be there.
        await using var backend = Create(2 * Chunk, openFiles: 1);
        using var stop = new CancellationTokenSource();
        var disturber = Task.Run(async () =>
        {
            byte[] buffer = new byte[2 * Chunk];
            while (!stop.IsCancellationRequested)
            {
                await backend.ReadAsync(0, buffer);
                await backend.FlushAsync();
            }
        });
        byte[] seen = new byte[Chunk];
        for (int i = 0; i < 300; i++)
        {
            byte[] data = BackendModel.Bytes(i, Chunk);
            await backend.WriteAsync(0, data);
            await backend.ReadAsync(0, seen);
            Assert.True(data.AsSpan().SequenceEqual(seen), $"The write of round {i} is lost.");
            var trim = backend.TrimAsync(0, Chunk).AsTask();
            await Task.WhenAll(trim, backend.WriteAsync(Chunk, data).AsTask());
            await backend.ReadAsync(0, seen);
            Assert.False(seen.AsSpan().ContainsAnyExcept((byte)0));
        }

        await stop.CancelAsync();
        await disturber;
    }

    [Fact(Timeout = 120_000)]
    public async Task Flush_SyncsTheDirectoriesThatChanged_OnceEach()
    {
        var synced = new ConcurrentQueue<string>();
        await using var backend = DirectoryBackend.Open(
            _directory["d"],
            new DirectoryBackendOptions { Length = 5000L * Chunk, ChunkLength = Chunk, SyncDirectory = path => synced.Enqueue(Path.GetRelativePath(_directory.Path, path)) });
        Assert.Equal([".", "d"], synced);
        synced.Clear();
        await backend.WriteAsync(0, new byte[1]);
        await backend.WriteAsync(Chunk, new byte[1]);
        await backend.WriteAsync(4999L * Chunk, new byte[1]);
        await backend.FlushAsync();
        Assert.Equal(["d", "d/0", "d/1"], synced.Order());
        synced.Clear();
        await backend.WriteAsync(0, new byte[1]);
        await backend.FlushAsync();
        Assert.Empty(synced);
        await backend.TrimAsync(0, Chunk);
        await backend.FlushAsync();
        Assert.Equal(["d/0"], synced);
    }

    [Fact(Timeout = 120_000)]
    public async Task FailedFlush_FailsAllLaterOnes()
    {
        bool fails = false;
        await using var backend = DirectoryBackend.Open(
            _directory["d"],
            new DirectoryBackendOptions { Length = 10 * Chunk, ChunkLength = Chunk, SyncDirectory = path => { if (fails) throw new IOException("no"); } });
        await backend.WriteAsync(0, new byte[1]);
        fails = true;
        await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
        fails = false;
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
        Assert.Contains("earlier flush", error.Message, StringComparison.Ordinal);
        await backend.WriteAsync(0, new byte[1]);
        await backend.ReadAsync(0, new byte[1]);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(20 * Chunk, null, "size=")]
    [InlineData(null, 2 * Chunk, "chunk=")]
    public async Task ReopenedAsSomethingElse_IsRefused(int? length, int? chunk, string says)
    {
        await using (var backend = Create(10 * Chunk))
            await backend.WriteAsync(0, new byte[] { 5 });
        var error = Assert.Throws<BackendException>(
            () => DirectoryBackend.Open(_directory["d"], new DirectoryBackendOptions { Length = length, ChunkLength = chunk }));
        Assert.Equal(BackendError.Invalid, error.Error);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        await using var again = DirectoryBackend.Open(_directory["d"]);
        Assert.Equal((10 * Chunk, Chunk), (again.Length, again.ChunkLength));
    }

    [Fact(Timeout = 120_000)]
    public async Task SecondUser_IsRefusedWhileOneWrites()
    {
        var readOnly = new DirectoryBackendOptions { ReadOnly = true };
        await using (Create(10 * Chunk))
        {
            Assert.Equal(BackendError.AccessDenied, Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory["d"])).Error);
            Assert.Equal(BackendError.AccessDenied, Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory["d"], readOnly)).Error);
        }

        await using var reader = DirectoryBackend.Open(_directory["d"], readOnly);
        await using var another = DirectoryBackend.Open(_directory["d"], readOnly);
        Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory["d"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyAtOnce_OneSetsUpAndTheOthersAreRefused()
    {
        for (int round = 0; round < 20; round++)
        {
            string path = _directory[$"race{round}"];
            var opened = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                try
                {
                    return DirectoryBackend.Open(path, new DirectoryBackendOptions { Length = Chunk });
                }
                catch (BackendException refusal) when (refusal.Error == BackendError.AccessDenied)
                {
                    return null;
                }
            })));
            await Assert.Single(opened, backend => backend is not null)!.DisposeAsync();
        }
    }

    [Fact]
    public void DirectoryWithOtherThings_IsRefusedAndLeftAlone()
    {
        File.WriteAllText(_directory["letter.txt"], "dear");
        var error = Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory.Path, new DirectoryBackendOptions { Length = Chunk }));
        Assert.Equal(BackendError.Invalid, error.Error);
        Assert.Equal([_directory["letter.txt"]], Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Fact]
    public void File_IsRefused()
    {
        File.WriteAllText(_directory["a"], "dear");
        Assert.Equal(BackendError.Invalid, Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory["a"])).Error);
    }

    [Theory]
    [InlineData("")]
    [InlineData("farspan-directory 2\nlength 40960\nchunk 4096\n")]
    [InlineData("farspan-directory 1\nlength 40960\n")]
    [InlineData("farspan-directory 1\nlength -1\nchunk 4096\n")]
    [InlineData("farspan-directory 1\nlength 0\nchunk 4096\n")]
    [InlineData("farspan-directory 1\nlength 40960\nchunk 5000\n")]
    [InlineData("farspan-directory 1\nlength 9223372036854775807\nchunk 4096\n")]
    [InlineData("farspan-directory 1\nlength 99999999999999999999\nchunk 4096\n")]
    public void DamagedDescription_IsRefused(string text)
    {
        Directory.CreateDirectory(_directory["d"]);
        File.WriteAllText(_directory["d/farspan-directory"], text);
        var error = Assert.Throws<BackendException>(() => DirectoryBackend.Open(_directory["d"]));
        Assert.Equal(BackendError.Corrupt, error.Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0)]
    [InlineData(4095)]
    [InlineData(4097)]
    public async Task ChunkOfAnotherLength_IsCorrupt_AndTheOthersAreRead(int length)
    {
        await using (var backend = Create(10 * Chunk))
            await backend.WriteAsync(0, BackendModel.Bytes(1, 10 * Chunk));
        using (var file = new FileStream(_directory["d/0/3"], FileMode.Open))
            file.SetLength(length);
        await using var again = DirectoryBackend.Open(_directory["d"]);
        var error = await Assert.ThrowsAsync<BackendException>(async () => await again.ReadAsync(0, new byte[10 * Chunk]));
        Assert.Equal(BackendError.Corrupt, error.Error);
        Assert.Contains("d/0/3", error.Message, StringComparison.Ordinal);
        await again.ReadAsync(4 * Chunk, new byte[6 * Chunk]);
    }

    [Fact(Timeout = 120_000)]
    public async Task UnfinishedChunk_IsRemovedAndReadsAsZero()
    {
        await using (var backend = Create(10 * Chunk))
            await backend.WriteAsync(0, new byte[] { 1 });
        File.WriteAllBytes(_directory["d/0/5.new"], [9, 9, 9]);
        await using var again = DirectoryBackend.Open(_directory["d"]);
        byte[] buffer = new byte[Chunk];
        await again.ReadAsync(5 * Chunk, buffer);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0));
        Assert.Equal(["0"], ChunkFiles());
    }

    [Fact(Timeout = 120_000)]
    public async Task SetUpThatWasCutShort_IsFinished()
    {
        Directory.CreateDirectory(_directory["d"]);
        File.WriteAllText(_directory["d/farspan-directory.new"], "farspan-dir");
        File.WriteAllText(_directory["d/farspan-lock"], "");
        await using var backend = Create(Chunk);
        Assert.Equal(Chunk, backend.Length);
    }

    [Fact(Timeout = 120_000)]
    public async Task FarApart_ExtentsAreListedQuickly()
    {
        await using var backend = DirectoryBackend.Open(
            _directory["d"], new DirectoryBackendOptions { Length = 1L << 40, ChunkLength = 64 << 10 });
        await backend.WriteAsync(500L << 30, new byte[1]);
        var extents = new List<Extent>();
        await backend.ListExtentsAsync(0, 1L << 40, 10, extents);
        Assert.Equal([0, 500L << 30, (500L << 30) + (64 << 10)], extents.Select(e => e.Offset));
    }

    private DirectoryBackend Create(long length, int openFiles = 8)
        => DirectoryBackend.Open(_directory["d"], new DirectoryBackendOptions { Length = length, ChunkLength = Chunk, OpenFiles = openFiles });

    private string[] ChunkFiles()
        => Directory.EnumerateDirectories(_directory["d"]).SelectMany(Directory.EnumerateFiles).Select(path => Path.GetFileName(path)).Order().ToArray();
}
