using Farspan.Migration;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>
/// A region that moves from one host to another over a troubled line, both of which crash, with what is true of its bytes. Every chunk is written as a
/// whole, with a number that no other write has.
/// </summary>
internal sealed class SimulatedMigration
{
    public const int ChunkSize = 512;
    public const int ChunkCount = 16;
    public const int Length = ChunkSize * ChunkCount;

    // For each chunk what was acknowledged last, and what a crash may leave: what a flush covered, and all that was tried since.
    private readonly byte[][] _truth = new byte[ChunkCount][];
    private readonly List<byte[]>[] _possible = new List<byte[]>[ChunkCount];
    private readonly TroubledLine _line;
    private int _number;

    public SimulatedMigration(int seed, TimeProvider clock, Func<SimulatedMigration, ISeeder, ISimulatedTarget> makeTarget)
    {
        Random = new Random(seed);
        Clock = clock;
        SourceDisk = new SimulatedDisk(seed, clock);
        TargetDisk = new SimulatedDisk(seed + 1, clock);
        WriteGap = Random.Next(3) switch { 0 => 20, 1 => 200, _ => 2000 };
        for (int i = 0; i < ChunkCount; i++)
        {
            _truth[i] = new byte[ChunkSize];
            _possible[i] = [_truth[i]];
        }

        Source = new SimulatedSource(this);
        _line = new TroubledLine(Random, clock, () => Source.Seeder, new SeederDescription(Length, ChunkSize));
        Target = makeTarget(this, new CodedLine(_line));
    }

    public Random Random { get; }

    public TimeProvider Clock { get; }

    public SimulatedDisk SourceDisk { get; }

    public SimulatedDisk TargetDisk { get; }

    public SimulatedSource Source { get; private set; }

    public ISimulatedTarget Target { get; private set; }

    /// <summary>Milliseconds between two writes, at most.</summary>
    public int WriteGap { get; }

    /// <summary>Whether nothing goes wrong any more.</summary>
    public bool IsCalm { get; private set; }

    /// <summary>Whether the new owner's program has ever written.</summary>
    public bool HasTargetWritten { get; private set; }

    public Guid NextName() => new(++_number, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7);

    public long NextNumber() => ++_number * 1000L;

    /// <summary>Runs until the region has moved, or stays for good; returns what happened of note.</summary>
    public async Task<bool> RunAsync()
    {
        await Source.StartAsync(isDurable: true);
        await Target.StartAsync();
        int crashes = Random.Next(5);
        for (int step = 0; !Target.IsDone; step++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(Random.Next(1, 4000)), Clock);
            if (step > 3 * crashes || step > 12)
            {
                IsCalm = true;
                _line.TroubleEvery = 1 << 20;
                continue;
            }

            if (Random.Next(3) != 0 || crashes-- <= 0)
                continue;
            bool losesPower = Random.Next(2) == 0;
            if (Random.Next(2) == 0)
            {
                Source.Kill();
                SourceDisk.Restart(losesPower);
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Next(3000)), Clock);
                Source = new SimulatedSource(this);
                await Source.StartAsync(isDurable: losesPower);
            }
            else
            {
                bool wasRunning = Target.IsRunning;
                Target.Kill();
                TargetDisk.Restart(losesPower);
                if (wasRunning && Target.KeepsOnlyWhatWasFlushed)
                    Settle();
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Next(3000)), Clock);
                Target = Target.Next();
                await Target.StartAsync();
            }
        }

        if (Target.HasMoved)
        {
            Check(await Target.ReadAllAsync(), "the new owner");
            if (Source.IsRunning)
                throw new InvalidOperationException("The source's program runs after the hand-over.");
        }

        return Target.HasMoved;
    }

    /// <summary>A write of a chunk begins, first of what follows <paramref name="cut"/>, then of the rest.</summary>
    public byte[] BeginWrite(int chunk, bool isSource, int cut = 0)
    {
        if (isSource ? Target.IsRunning : Source.IsRunning)
            throw new InvalidOperationException("Two programs write.");
        HasTargetWritten |= !isSource;
        byte[] bytes = new byte[ChunkSize];
        BitConverter.TryWriteBytes(bytes, ++_number);
        bytes.AsSpan(0, 8).CopyTo(bytes.AsSpan(ChunkSize - 8));
        if (cut > 0)
            _possible[chunk].Add([.. _truth[chunk].AsSpan(0, cut), .. bytes.AsSpan(cut)]);
        _possible[chunk].Add(bytes);
        return bytes;
    }

    public void EndWrite(int chunk, byte[] bytes) => _truth[chunk] = bytes;

    /// <summary>The program of the new owner begins: all that was acknowledged to the old one is flushed.</summary>
    public void TakeOver()
    {
        if (HasTargetWritten)
            return;
        for (int i = 0; i < ChunkCount; i++)
            _possible[i] = [_truth[i]];
    }

    /// <summary>What the new owner's program reads.</summary>
    public void CheckRead(int chunk, byte[] bytes)
    {
        if (!bytes.AsSpan().SequenceEqual(_truth[chunk]))
            throw new InvalidOperationException($"The new owner reads {BitConverter.ToInt64(bytes)} in chunk {chunk}, not {BitConverter.ToInt64(_truth[chunk])}.");
    }

    /// <summary>The new owner's program was started anew, and finds this: something that a flush covered, or that was tried since.</summary>
    public void CheckFound(int chunk, byte[] bytes)
    {
        var found = _possible[chunk].Find(possible => possible.AsSpan().SequenceEqual(bytes))
            ?? throw new InvalidOperationException($"Chunk {chunk} of the new owner is {BitConverter.ToInt64(bytes)}, which could not be there.");
        _truth[chunk] = found;
        _possible[chunk].Remove(found);
        _possible[chunk].Add(found);
    }

    /// <summary>What a flush that begins now covers.</summary>
    public byte[][] BeginFlush() => [.. _truth];

    public void EndFlush(byte[][] covered)
    {
        for (int i = 0; i < ChunkCount; i++)
        {
            int at = _possible[i].IndexOf(covered[i]);
            if (at > 0)
                _possible[i].RemoveRange(0, at);
        }
    }

    /// <summary>A source was started: what it has must be what a flush covered, or was tried since; after a hand-over exactly the truth.</summary>
    /// <param name="bytes">All that it has.</param>
    /// <param name="record">Its record.</param>
    /// <param name="isDurable">Whether no loss of power can take any of it back.</param>
    public void CheckSource(byte[] bytes, RegionRecord record, bool isDurable)
    {
        if (record.Role == RegionRole.HandedOver)
        {
            if (!HasTargetWritten)
                Check(bytes, "the source after the hand-over");
            return;
        }

        if (record.Role != RegionRole.Owner)
            return;
        for (int i = 0; i < ChunkCount; i++)
        {
            byte[]? found = _possible[i].Find(possible => possible.AsSpan().SequenceEqual(bytes.AsSpan(i * ChunkSize, ChunkSize)));
            _truth[i] = found ?? throw new InvalidOperationException($"Chunk {i} of the source is nothing that could be there.");
            if (isDurable)
                _possible[i].Clear();
            _possible[i].Remove(found);
            _possible[i].Add(found);
        }
    }

    /// <summary>The new owner crashed: what is durable there, or at the source, is the truth.</summary>
    private void Settle()
    {
        for (int i = 0; i < ChunkCount; i++)
        {
            _truth[i] = _possible[i][0];
            _possible[i] = [_truth[i]];
        }
    }

    private void Check(byte[] bytes, string where)
    {
        for (int i = 0; i < ChunkCount; i++)
        {
            if (!bytes.AsSpan(i * ChunkSize, ChunkSize).SequenceEqual(_truth[i]))
                throw new InvalidOperationException($"Chunk {i} of {where} is {BitConverter.ToInt64(bytes, i * ChunkSize)}, not {BitConverter.ToInt64(_truth[i])}.");
        }
    }
}
