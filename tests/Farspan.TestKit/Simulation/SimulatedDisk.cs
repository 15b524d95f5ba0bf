using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A directory on a disk that forgets. A killed process loses nothing that it wrote; a loss of power leaves of every sector that was not synced
/// any state that it had since, and of the names any first part of the changes. Every call takes a time of virtual time that the seed chooses.
/// </summary>
/// <remarks>Single-threaded, as simulations are.</remarks>
internal sealed class SimulatedDisk(int seed, TimeProvider clock)
{
    /// <summary>Bytes that a loss of power keeps or loses together.</summary>
    public const int SectorSize = 512;

    private readonly Random _random = new(seed);
    private readonly List<Dictionary<string, SimulatedFile>> _olderNames = [];
    private Dictionary<string, SimulatedFile> _names = new(StringComparer.Ordinal);
    private SimulatedFile? _losing;
    private int _life;

    /// <summary>Calls made so far.</summary>
    public int CallCount { get; private set; }

    /// <summary>The call at which the disk's user is killed: it and all later ones throw <see cref="SimulatedCrashException"/>.</summary>
    public int CrashAtCall { get; set; } = int.MaxValue;

    /// <summary>Whether the user has been killed and <see cref="Restart"/> was not called since.</summary>
    public bool HasCrashed { get; private set; }

    /// <summary>Sectors of all files together; a write that would take more fails.</summary>
    public long SectorLimit { get; set; } = long.MaxValue;

    /// <summary>
    /// The name of a file whose next sync fails and loses what it should have made durable. What readers see of that goes a moment later, as in a
    /// system that drops pages which it could not write: nobody can know before he has been told.
    /// </summary>
    public string? FailSyncOf { get; set; }

    /// <summary>Whether a sync has failed since the last <see cref="Restart"/>.</summary>
    public bool HasLostSync { get; private set; }

    /// <summary>Whether calls take time; without, they complete at once.</summary>
    public bool IsSlow { get; set; } = true;

    /// <summary>Sectors that all files take up.</summary>
    public long UsedSectors => _names.Values.Sum(file => (long)file.SectorCount);

    /// <summary>The run of the operating system: another one after each loss of power.</summary>
    public string BootId { get; private set; } = "boot-0";

    /// <summary>The directory, for a new process.</summary>
    public SimulatedDirectory Open() => new(this);

    /// <summary>The bytes of a file, as the system shows them.</summary>
    public byte[] ReadAll(string name)
    {
        byte[] bytes = new byte[_names[name].Length];
        _names[name].Read(0, bytes);
        return bytes;
    }

    /// <summary>Puts other bytes into a file, durably.</summary>
    public void Replace(string name, byte[] bytes)
    {
        var file = new SimulatedFile(SectorSize);
        file.Write(0, bytes);
        file.Sync();
        _names[name] = file;
        _olderNames.Clear();
    }

    /// <summary>Ends the user's process, if it has not ended yet, with the power or without, and lets another one begin.</summary>
    public void Restart(bool losePower)
    {
        _life++;
        HasCrashed = false;
        HasLostSync = false;
        CrashAtCall = int.MaxValue;
        EndLoss();
        if (!losePower)
            return;
        BootId = $"boot-{_life}";
        int names = _random.Next(_olderNames.Count + 1);
        if (names < _olderNames.Count)
            _names = _olderNames[names];
        _olderNames.Clear();
        foreach (string name in _names.Keys.Order(StringComparer.Ordinal))
            _names[name].LosePower(_random);
    }

    internal int Life => _life;

    internal IReadOnlyList<string> Names => [.. _names.Keys.Order(StringComparer.Ordinal)];

    internal SimulatedFile File(string name)
        => _names.GetValueOrDefault(name) ?? throw new BackendException(BackendError.NotFound, $"No file {name}.");

    internal bool Exists(string name) => _names.ContainsKey(name);

    internal void ChangeNames(Action<Dictionary<string, SimulatedFile>> change)
    {
        _olderNames.Add(_names);
        _names = new Dictionary<string, SimulatedFile>(_names, StringComparer.Ordinal);
        change(_names);
    }

    internal void SyncNames() => _olderNames.Clear();

    /// <summary>Begins a call: it may take a while, be the user's last, or come from a user that has been killed.</summary>
    internal async ValueTask EnterAsync(int life)
    {
        if (IsSlow && _random.Next(3) != 0)
            await Task.Delay(TimeSpan.FromMicroseconds(_random.Next(1, 5000)), clock);
        CallCount++;
        if (life == _life && CallCount >= CrashAtCall)
            HasCrashed = true;
        if (life != _life || HasCrashed)
            throw new SimulatedCrashException();
    }

    /// <summary>Writes; a process that is killed now, or runs out of space, leaves the first part.</summary>
    internal void Write(SimulatedFile file, long offset, ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int count = (int)Math.Min(buffer.Length, SectorSize - (offset % SectorSize));
            if (file.NewSectors(offset, count) != 0 && UsedSectors >= SectorLimit)
                throw new BackendException(BackendError.NoSpace, "The simulated disk is full.");
            file.Write(offset, buffer[..count]);
            offset += count;
            buffer = buffer[count..];
            if (CallCount + 1 >= CrashAtCall && _random.Next(4) == 0)
            {
                HasCrashed = true;
                throw new SimulatedCrashException();
            }
        }
    }

    internal void Sync(string name, SimulatedFile file)
    {
        if (FailSyncOf == name)
        {
            FailSyncOf = null;
            HasLostSync = true;
            _losing = file;
            _ = LoseAsync();
            throw new BackendException(BackendError.InputOutput, $"The simulated disk lost what {name} held.");
        }

        if (file == _losing)
            EndLoss();
        file.Sync();
    }

    /// <summary>What is written to a file after a failed sync is not lost with what was before.</summary>
    internal void BeginAppending(SimulatedFile file)
    {
        if (file == _losing)
            EndLoss();
    }

    private async Task LoseAsync()
    {
        await Task.Delay(TimeSpan.FromMilliseconds(1), clock);
        EndLoss();
    }

    private void EndLoss()
    {
        _losing?.LosePower(_random);
        _losing = null;
    }
}
