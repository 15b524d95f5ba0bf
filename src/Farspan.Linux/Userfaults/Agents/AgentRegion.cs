using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The memory that a client has mapped, and the service that serves it.</summary>
internal sealed class AgentRegion
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    private readonly SharedMemory _memory;
    private readonly RegionService _service;
    private readonly BackendSlice _backend;
    private readonly UserfaultAgentOptions _options;

    private AgentRegion(AgentMapping mapping, SharedMemory memory, BackendSlice backend, UserfaultAgentOptions options, string name)
    {
        Mapping = mapping;
        _memory = memory;
        _backend = backend;
        _options = options;
        _service = RegionService.Start(memory, backend, new RegionOptions
        {
            ChunkSize = options.ChunkSize,
            ResidentLimit = options.ResidentLimit,
            ReadAhead = options.ReadAhead,
            FaultThreads = options.FaultThreads,
            SaveInterval = mapping.IsWritable ? options.SaveInterval : null,
            Name = name,
            Logger = options.Logger,
            Clock = options.Clock,
        });
    }

    public AgentMapping Mapping { get; }

    /// <summary>Whether touches of what cannot be brought end in SIGBUS.</summary>
    public bool CanPoison => _memory.CanPoison;

    public Task Broken => _service.Broken;

    public RegionCounters Counters => _service.Counters;

    public AgentFigures Figures => new(
        Mapping.Length, _service.ResidentBytes, _service.CountWritten(), Counters.FilledBytes, Counters.SavedBytes, Counters.EvictedBytes, Counters.Faults);

    /// <summary>Begins to serve. The descriptors stay the caller's where this throws.</summary>
    /// <exception cref="BackendException">Something about them is not as it has to be, or the first bytes cannot be brought.</exception>
    public static async Task<AgentRegion> OpenAsync(
        AgentMapping mapping, SafeDescriptor faults, SafeDescriptor file, IBackend backend, UserfaultAgentOptions options, string name, CancellationToken cancellationToken)
    {
        long page = Environment.SystemPageSize;
        var memory = SharedMemory.Adopt(faults, file, mapping.Address, (mapping.Length + page - 1) & -page, mapping.IsWritable);
        var region = new AgentRegion(mapping, memory, new BackendSlice(backend, mapping.Offset, mapping.Length, !mapping.IsWritable), options, name);
        try
        {
            // What is brought there has to be found in the file; otherwise something else is mapped there, and nothing would ever be saved.
            await region._service.AcquireAsync(0, 1, RegionUse.Reading, cancellationToken);
            region._service.Release(0, 1, RegionUse.Reading);
            if (!memory.IsHere(0))
                throw new BackendException(BackendError.Invalid, $"The file of shared memory is not mapped at 0x{mapping.Address:x} of the client, from its first byte on.");
            return region;
        }
        catch
        {
            await region.StopAsync(SharedMemoryEnd.Undone);
            throw;
        }
    }

    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (!Mapping.IsWritable)
            return;
        await _service.SaveAsync(cancellationToken);
        await _backend.FlushAsync(cancellationToken);
    }

    /// <summary>Brings a range; what could not be brought before is asked for again.</summary>
    public Task PrefetchAsync(AgentRange range, CancellationToken cancellationToken)
    {
        _service.Forgive(range.Offset, range.Length);
        return _service.PrefetchAsync(range.Offset, range.Length, cancellationToken);
    }

    /// <summary>Tries to save all that was written, for as long as is given to that.</summary>
    /// <returns>What it failed with at last, or null.</returns>
    public async Task<Exception?> SaveAtLastAsync()
    {
        using var patience = new CancellationTokenSource(_options.CloseTimeout, _options.Clock);
        while (true)
        {
            try
            {
                await FlushAsync(patience.Token).WaitAsync(patience.Token);
                return null;
            }
            catch (BackendException error) when (!patience.IsCancellationRequested)
            {
                try
                {
                    await Task.Delay(s_pause, _options.Clock, patience.Token);
                }
                catch (OperationCanceledException)
                {
                    return error;
                }
            }
            catch (Exception error)
            {
                return error is OperationCanceledException ? new TimeoutException("Saving took too long.") : error;
            }
        }
    }

    /// <summary>Serves no more; what was not saved is given up.</summary>
    public async Task StopAsync(SharedMemoryEnd end)
    {
        _memory.End = end;
        if (!await _service.StopAsync())
            _options.Logger.LogStuck(Mapping.Length);
    }
}
