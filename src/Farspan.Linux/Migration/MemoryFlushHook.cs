using Farspan.Linux.Userfaults;

namespace Farspan.Linux.Migration;

/// <summary>A program of this process, of which what it has written to mapped memory is saved: now and then, and once it is suspended.</summary>
internal sealed class MemoryFlushHook(IProgramHook program) : IProgramHook
{
    private readonly Lock _gate = new();
    private readonly List<RemoteMemory> _mapped = [];

    /// <summary>Memory that is saved, too.</summary>
    public void Add(RemoteMemory memory)
    {
        lock (_gate)
            _mapped.Add(memory);
    }

    /// <inheritdoc/>
    public async ValueTask SuspendAsync(HookSubject subject, CancellationToken cancellationToken)
    {
        await program.SuspendAsync(subject, cancellationToken);
        await SaveAsync(cancellationToken);
    }

    /// <summary>Saves what was written to the memory until now.</summary>
    public async ValueTask SaveAsync(CancellationToken cancellationToken)
    {
        RemoteMemory[] mapped;
        lock (_gate)
        {
            _mapped.RemoveAll(static memory => memory.IsClosing);
            mapped = [.. _mapped];
        }

        foreach (var memory in mapped)
            await memory.FlushAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask ResumeAsync(HookSubject subject, CancellationToken cancellationToken) => program.ResumeAsync(subject, cancellationToken);
}
