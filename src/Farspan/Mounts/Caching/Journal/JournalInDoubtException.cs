using Farspan.Backends;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>A call failed half-way, and it is not known what the journal holds now.</summary>
internal sealed class JournalInDoubtException(BackendException cause) : BackendException(cause.Error, cause.Message, cause, isTransient: false);
