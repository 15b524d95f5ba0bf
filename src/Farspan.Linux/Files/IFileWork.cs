namespace Farspan.Linux.Files;

/// <summary>Something that blocks and is therefore done by a <see cref="FileWorkers"/> thread.</summary>
internal interface IFileWork
{
    /// <summary>Does it and tells who waits; never throws.</summary>
    void Execute();
}
