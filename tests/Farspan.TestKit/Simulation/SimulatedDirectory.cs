using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>The directory of a <see cref="SimulatedDisk"/>, as one process has it open.</summary>
internal sealed class SimulatedDirectory(SimulatedDisk disk) : ICacheFiles
{
    private readonly int _life = disk.Life;

    public string Name => "simulated";

    public async ValueTask<IReadOnlyList<string>> ListAsync()
    {
        await disk.EnterAsync(_life);
        return disk.Names;
    }

    public async ValueTask<ICacheFile> OpenAsync(string name)
    {
        await disk.EnterAsync(_life);
        return new SimulatedCacheFile(disk, name, disk.File(name));
    }

    public async ValueTask<ICacheFile> CreateAsync(string name)
    {
        await disk.EnterAsync(_life);
        disk.ChangeNames(names => names[name] = new SimulatedFile(SimulatedDisk.SectorSize));
        return new SimulatedCacheFile(disk, name, disk.File(name));
    }

    public async ValueTask<IBackend> OpenDataAsync(string name, long length)
    {
        await disk.EnterAsync(_life);
        if (!disk.Exists(name))
        {
            disk.ChangeNames(names => names[name] = new SimulatedFile(SimulatedDisk.SectorSize));
            disk.File(name).SetLength(length);
            disk.File(name).Sync();
        }

        return new SimulatedDataFile(disk, name, disk.File(name));
    }

    public async ValueTask RenameAsync(string from, string to)
    {
        await disk.EnterAsync(_life);
        var file = disk.File(from);
        disk.ChangeNames(names =>
        {
            names.Remove(from);
            names[to] = file;
        });
    }

    public async ValueTask DeleteAsync(string name)
    {
        await disk.EnterAsync(_life);
        disk.ChangeNames(names => names.Remove(name));
    }

    public async ValueTask SyncNamesAsync()
    {
        await disk.EnterAsync(_life);
        disk.SyncNames();
    }

    public ValueTask DisposeAsync() => default;
}
