namespace Farspan.Migration;

/// <summary>What stops and starts the program that uses a region. One call at a time.</summary>
internal interface ISeederHost
{
    /// <summary>
    /// Sees to it that what the program has written so far has come to the seeder's backend, while it runs. Only what comes late by itself has to be done: a
    /// host whose program keeps nothing back has nothing to do.
    /// </summary>
    /// <param name="cancellationToken">Cancelled when it has taken too long; then it ends soon, by throwing. Nothing depends on its success.</param>
    ValueTask WriteBackAsync(CancellationToken cancellationToken) => default;

    /// <summary>
    /// Stops the program, and sees to it that all it has written has come to the seeder's backend: what a kernel still keeps of a file is written back.
    /// Its effect is undone by <see cref="ResumeAsync"/>, also where it failed.
    /// </summary>
    /// <param name="cancellationToken">Cancelled when it has taken too long; then it ends soon, by throwing.</param>
    ValueTask SuspendAsync(CancellationToken cancellationToken);

    /// <summary>Lets the program go on.</summary>
    /// <param name="cancellationToken">Cancelled when it has taken too long; then it ends soon, by throwing.</param>
    ValueTask ResumeAsync(CancellationToken cancellationToken);
}
