using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Mounts.Caching;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts.Caching;

/// <summary>
/// Several writers use a <see cref="DirectoryChunkCache"/> as a mount would, each with a chunk of its own, until a crash; what the next opening
/// finds is compared with what it may find.
/// </summary>
internal sealed class CacheWorld
{
    private const int ChunkSize = 4096;
    private const int ChunkCount = 8;
    private const long Length = ((ChunkCount - 1) * ChunkSize) + 1536;

    private readonly VirtualTimeProvider _clock;
    private readonly Random _random;
    private readonly SimulatedDisk _disk;
    private readonly ChunkModel[] _chunks;
    private DirectoryChunkCache _cache = null!;
    private int _version;
    private bool _isEnding;
    private bool _wasPowerLost;

    public CacheWorld(int seed, VirtualTimeProvider clock)
    {
        _clock = clock;
        _random = new Random(seed);
        _disk = new SimulatedDisk(seed, clock);
        _chunks = [.. Enumerable.Range(0, ChunkCount).Select(
            i => new ChunkModel(i, (long)i * ChunkSize, (int)Math.Min(ChunkSize, Length - ((long)i * ChunkSize)), () => ++_version))];
    }

    /// <summary>Lives and crashes a few times.</summary>
    public static void Run(int seed, int lives = 4)
        => VirtualTime.Run(async clock =>
        {
            var world = new CacheWorld(seed, clock);
            for (int life = 0; life < lives; life++)
                await world.LiveAsync();
            await world.OpenAsync();
            await world._cache.DisposeAsync();
        });

    private async Task LiveAsync()
    {
        await OpenAsync();
        _isEnding = false;
        bool endsInOrder = _random.Next(5) == 0;
        bool losesSync = !endsInOrder && _random.Next(8) == 0;
        if (losesSync)
            _disk.FailSyncOf = DirectoryChunkCache.DataName;
        else if (!endsInOrder)
            _disk.CrashAtCall = _disk.CallCount + _random.Next(1, 600);
        if (_random.Next(4) == 0)
            _disk.SectorLimit = _disk.UsedSectors + _random.Next(1, 40);
        var tasks = _chunks.Select(chunk => UseAsync(chunk, new Random(_random.Next()))).Append(FlushAsync(new Random(_random.Next()))).ToList();
        await Task.Delay(TimeSpan.FromMilliseconds(_random.Next(50, 1000)), _clock);
        _isEnding = true;
        await Task.WhenAll(tasks);
        _disk.SectorLimit = long.MaxValue;
        bool wasClosed = false;
        try
        {
            if (endsInOrder)
            {
                await _cache.DisposeAsync();
                wasClosed = true;
            }
        }
        catch (SimulatedCrashException)
        {
        }

        bool losesPower = _random.Next(2) == 0;
        _wasPowerLost = !wasClosed && (losesPower || losesSync);
        _disk.FailSyncOf = null;
        _disk.Restart(losesPower);
    }

    private async Task OpenAsync()
    {
        while (true)
        {
            if (_random.Next(4) == 0)
                _disk.CrashAtCall = _disk.CallCount + _random.Next(1, 15);
            try
            {
                _cache = await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
                {
                    Files = _disk.Open(),
                    Remote = "memory:",
                    Length = Length,
                    ChunkSize = ChunkSize,
                    BootId = _disk.BootId,
                    Clock = _clock,
                    CheckpointInterval = TimeSpan.FromMilliseconds(_random.Next(20, 1000)),
                    CheckpointBytes = _random.Next(4096, 100_000),
                    CompactionBytes = _random.Next(200, 4000),
                });
                _disk.CrashAtCall = int.MaxValue;
                await CheckAsync();
                return;
            }
            catch (SimulatedCrashException)
            {
                bool losesPower = _random.Next(2) == 0;
                _wasPowerLost |= losesPower;
                _disk.Restart(losesPower);
            }
        }
    }

    private async Task CheckAsync()
    {
        var recovered = _cache.Recovered.ToDictionary(chunk => chunk.Index);
        var zeroes = _cache.RecoveredZeroes.SelectMany(run => Enumerable.Range((int)run.FirstChunk, (int)run.Count)).ToHashSet();
        foreach (var chunk in _chunks)
        {
            bool isNoted = recovered.TryGetValue(chunk.Index, out var noted);
            byte[] bytes = await ReadAsync(chunk);
            int[] versions = ChunkModel.VersionsOf(bytes);
            bool isProven = noted.UnprovenChecksum is null || noted.UnprovenChecksum == Crc32C.Compute(bytes);
            bool isWhole = isNoted && noted.IsWhole && isProven;
            chunk.IsZero = zeroes.Contains(chunk.Index);
            Assert.False(isNoted && chunk.IsZero);
            for (int i = 0; i < chunk.Units.Length; i++)
            {
                var unit = chunk.Units[i];
                int start = i * ChunkModel.UnitLength;
                bool isDirty = isNoted && noted.DirtyRanges.Any(range => range.Start <= start && range.Start + range.Length >= start + ChunkModel.UnitLength);
                int effective = chunk.IsZero ? 0 : isDirty ? versions[i] : UnitModel.Content(unit.Remote);
                Assert.True(
                    unit.MayBe(effective, _wasPowerLost),
                    $"Chunk {chunk.Index} unit {i} is {effective} ({(isDirty ? "dirty" : "remote")}), possible [{string.Join(' ', unit.Possible)}], acknowledged {unit.Acknowledged}, power lost {_wasPowerLost}.");
                if (isWhole && !isDirty)
                    Assert.True(versions[i] == UnitModel.Content(unit.Remote), $"Chunk {chunk.Index} unit {i} is here as {versions[i]}, and {unit.Remote} at the remote.");
                unit.Recovered(effective, isWhole || isDirty, isDirty);
            }

            chunk.IsWhole = isWhole;
            if (!isProven)
                await _cache.DiscardAsync(chunk.Index, 1, CancellationToken.None);
            else if (noted.UnprovenChecksum is { } checksum && _random.Next(2) == 0)
                _cache.NoteClean(chunk.Index, checksum);
        }
    }

    private async Task UseAsync(ChunkModel chunk, Random random)
    {
        try
        {
            while (!_isEnding)
            {
                await Task.Delay(TimeSpan.FromMicroseconds(random.Next(1, 60_000)), _clock);
                try
                {
                    await UseOnceAsync(chunk, random);
                }
                catch (BackendException full) when (full.Error == BackendError.NoSpace)
                {
                    if (random.Next(6) == 0)
                        _disk.SectorLimit = long.MaxValue;
                }
            }
        }
        catch (SimulatedCrashException)
        {
        }
        catch (BackendException lost) when (lost.Error == BackendError.InputOutput)
        {
        }
    }

    private async Task UseOnceAsync(ChunkModel chunk, Random random)
    {
        switch (random.Next(9))
        {
            case 8 when random.Next(2) == 0:
                await SetZeroAsync(chunk);
                break;
            case < 3 when chunk.IsZero:
                await EndZeroAsync(chunk, random);
                break;
            case 5 when chunk.IsZero:
                await PushZeroAsync(chunk);
                break;
            case < 3:
                await WriteAsync(chunk, random, during: () => Task.CompletedTask);
                break;
            case 3 when chunk is { IsWhole: false, IsZero: false }:
                await PullAsync(chunk);
                break;
            case 4 when chunk is { IsWhole: false, IsZero: false }:
                await WriteAsync(chunk, random, during: () => PullAsync(chunk));
                break;
            case 5 when chunk.IsDirty:
                await PushAsync(chunk, random);
                break;
            case 6 when chunk is { IsWhole: true, IsDirty: false }:
                await _cache.DiscardAsync(chunk.Index, 1, CancellationToken.None);
                chunk.IsWhole = false;
                Array.ForEach(chunk.Units, unit => unit.IsHere = false);
                break;
            case 7 when chunk.IsWhole:
                Assert.Equal(chunk.Units.Select(unit => UnitModel.Content(unit.Current)), ChunkModel.VersionsOf(await ReadAsync(chunk)));
                break;
        }
    }

    private async Task SetZeroAsync(ChunkModel chunk)
    {
        int version = -++_version;
        Array.ForEach(chunk.Units, unit => unit.Possible.Add(version));
        await _cache.NoteZeroAsync(chunk.Index, 1, CancellationToken.None);
        (chunk.IsZero, chunk.IsWhole) = (true, false);
        foreach (var unit in chunk.Units)
        {
            (unit.IsHere, unit.IsDirty) = (false, false);
            unit.Acknowledged = unit.Current = version;
        }
    }

    /// <summary>Writes to a chunk that reads as zero: all of it is written, piece by piece.</summary>
    private async Task EndZeroAsync(ChunkModel chunk, Random random)
    {
        int first = random.Next(chunk.Units.Length);
        int count = random.Next(1, chunk.Units.Length - first + 1);
        await _cache.NoteDirtyAsync(chunk.Index, 0, chunk.Length, CancellationToken.None);
        await _cache.WriteAsync(chunk.Offset, new byte[first * ChunkModel.UnitLength], CancellationToken.None);
        int end = (first + count) * ChunkModel.UnitLength;
        await _cache.WriteAsync(chunk.Offset + end, new byte[chunk.Length - end], CancellationToken.None);
        var units = chunk.Units[first..(first + count)];
        int[] versions = [.. units.Select(_ => ++_version)];
        for (int i = 0; i < count; i++)
            units[i].Possible.Add(versions[i]);
        await _cache.WriteAsync(chunk.Offset + (first * ChunkModel.UnitLength), ChunkModel.Bytes(versions), CancellationToken.None);
        for (int i = 0; i < count; i++)
            units[i].Acknowledged = units[i].Current = versions[i];
        (chunk.IsZero, chunk.IsWhole) = (false, true);
        Array.ForEach(chunk.Units, unit => (unit.IsHere, unit.IsDirty) = (true, true));
        _cache.NoteWhole(chunk.Index);
    }

    private async Task PushZeroAsync(ChunkModel chunk)
    {
        await FlushAsync();
        Array.ForEach(chunk.Units, unit => unit.Remote = unit.Current);
        await _cache.DiscardAsync(chunk.Index, 1, CancellationToken.None);
        chunk.IsZero = false;
    }

    private async Task WriteAsync(ChunkModel chunk, Random random, Func<Task> during)
    {
        int first = random.Next(chunk.Units.Length);
        int count = random.Next(3) == 0 ? chunk.Units.Length - first : random.Next(1, Math.Min(4, chunk.Units.Length - first) + 1);
        if (random.Next(6) == 0)
            (first, count) = (0, chunk.Units.Length);
        await _cache.NoteDirtyAsync(chunk.Index, first * ChunkModel.UnitLength, count * ChunkModel.UnitLength, CancellationToken.None);
        var units = chunk.Units[first..(first + count)];
        int[] versions = [.. units.Select(_ => ++_version)];
        bool[] wereDirty = [.. units.Select(unit => unit.IsDirty)];
        for (int i = 0; i < count; i++)
        {
            units[i].Possible.Add(versions[i]);
            units[i].IsDirty = true;
        }

        bool wasWhole = chunk.IsWhole;
        var write = _cache.WriteAsync(chunk.Offset + (first * ChunkModel.UnitLength), ChunkModel.Bytes(versions), CancellationToken.None).AsTask();
        var other = during();
        try
        {
            await write;
        }
        catch (BackendException full) when (full.Error == BackendError.NoSpace)
        {
            await Task.WhenAny(other);
            await LookAgainAsync(chunk, units, first, wasWhole, wereDirty);
            throw;
        }

        for (int i = 0; i < count; i++)
        {
            units[i].Acknowledged = units[i].Current = versions[i];
            units[i].IsHere = true;
        }

        await other;
    }

    /// <summary>A write failed: what was here may be old or new; what was not is not.</summary>
    private async Task LookAgainAsync(ChunkModel chunk, UnitModel[] units, int first, bool wasWhole, bool[] wereDirty)
    {
        int[] versions = ChunkModel.VersionsOf(await ReadAsync(chunk))[first..(first + units.Length)];
        for (int i = 0; i < units.Length; i++)
        {
            if (wasWhole || wereDirty[i])
            {
                units[i].Current = versions[i];
            }
            else
            {
                units[i].IsDirty = units[i].IsHere = false;
                chunk.IsWhole = false;
            }
        }
    }

    private async Task PullAsync(ChunkModel chunk)
    {
        for (int i = 0; i < chunk.Units.Length; i++)
        {
            var unit = chunk.Units[i];
            if (unit.IsDirty)
                continue;
            await _cache.WriteAsync(chunk.Offset + (i * ChunkModel.UnitLength), ChunkModel.Bytes([unit.Remote]), CancellationToken.None);
            unit.Current = unit.Remote;
            unit.IsHere = true;
        }

        chunk.IsWhole = true;
        if (chunk.IsDirty)
            _cache.NoteWhole(chunk.Index);
        else
            _cache.NoteClean(chunk.Index, chunk.RemoteChecksum());
    }

    private async Task PushAsync(ChunkModel chunk, Random random)
    {
        // What the remote gets must be known to be dirty, durably: else the cache could come back with older bytes as clean ones.
        await FlushAsync();
        int[] versions = ChunkModel.VersionsOf(await ReadAsync(chunk));
        var pushed = Enumerable.Range(0, versions.Length).Where(i => chunk.Units[i].IsDirty).ToList();
        pushed.ForEach(i => Assert.Equal(UnitModel.Content(chunk.Units[i].Current), versions[i]));
        bool isRaced = random.Next(3) == 0;
        if (isRaced)
            await WriteAsync(chunk, random, during: () => Task.CompletedTask);
        await Task.Delay(TimeSpan.FromMicroseconds(random.Next(1, 2000)), _clock);
        pushed.ForEach(i => chunk.Units[i].Remote = versions[i]);
        if (isRaced || !chunk.IsWhole)
            return;
        Array.ForEach(chunk.Units, unit => unit.IsDirty = false);
        _cache.NoteClean(chunk.Index, chunk.RemoteChecksum());
    }

    private async Task FlushAsync(Random random)
    {
        try
        {
            while (!_isEnding)
            {
                await Task.Delay(TimeSpan.FromMicroseconds(random.Next(1, 400_000)), _clock);
                try
                {
                    await FlushAsync();
                }
                catch (BackendException full) when (full.Error == BackendError.NoSpace)
                {
                    _disk.SectorLimit = long.MaxValue;
                }
            }
        }
        catch (SimulatedCrashException)
        {
        }
        catch (BackendException lost) when (lost.Error == BackendError.InputOutput)
        {
        }
    }

    private async Task FlushAsync()
    {
        var before = _chunks.SelectMany(chunk => chunk.Units).Select(unit => (Unit: unit, unit.Acknowledged)).ToList();
        await _cache.FlushAsync(CancellationToken.None);
        before.ForEach(unit => unit.Unit.Flushed(unit.Acknowledged));
    }

    private async Task<byte[]> ReadAsync(ChunkModel chunk)
    {
        byte[] bytes = new byte[chunk.Length];
        await _cache.ReadAsync(chunk.Offset, bytes, CancellationToken.None);
        return bytes;
    }
}
