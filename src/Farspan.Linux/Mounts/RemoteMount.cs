using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>Makes remote bytes a local file, and where another process serves it, local memory.</summary>
public static class RemoteMount
{
    /// <summary>
    /// Mounts a backend as a file that this process serves: by path for other programs, by <see cref="DirectMount.OpenFile"/> for this one.
    /// It cannot be mapped here.
    /// </summary>
    /// <param name="backend">What is mounted. Not owned: dispose it after the mount.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="ArgumentException">An option is outside its bounds.</exception>
    /// <exception cref="MountException">The system refused; the message says what to do.</exception>
    public static async Task<DirectMount> OpenDirectAsync(
        IBackend backend, string target, DirectMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(backend);
        options = Validated(options);
        var mount = await FuseMount.MountAsync(backend, target, FuseOptions(options), cancellationToken);
        return new DirectMount(new LocalMountServer(mount, owned: null), backend.Length, IsReadOnly(backend, options), options);
    }

    /// <summary>Opens what a URI names, with the backends of <paramref name="registry"/>, and mounts it as a file that this process serves.</summary>
    /// <inheritdoc cref="OpenDirectAsync(IBackend, string, DirectMountOptions?, CancellationToken)"/>
    /// <param name="uri">The backend. It is closed with the mount.</param>
    /// <param name="registry">Knows the URI's scheme.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="FormatException">The URI is none, or its scheme is not known.</exception>
    /// <exception cref="BackendException">The backend could not be opened.</exception>
    public static async Task<DirectMount> OpenDirectAsync(
        string uri, BackendRegistry registry, string target, DirectMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        options = Validated(options);
        var backend = await registry.OpenAsync(uri, options.Backend with { ReadOnly = options.ReadOnly || options.Backend.ReadOnly }, cancellationToken);
        try
        {
            var mount = await FuseMount.MountAsync(backend, target, FuseOptions(options), cancellationToken);
            return new DirectMount(new LocalMountServer(mount, backend), backend.Length, IsReadOnly(backend, options), options);
        }
        catch
        {
            await backend.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Mounts what a URI names as a file that the <c>farspan</c> program serves, as a child of this process. It offers everything: the path,
    /// <see cref="DirectMount.OpenFile"/>, and <see cref="DirectMount.OpenMemory"/>.
    /// </summary>
    /// <param name="uri">The backend, as the program's <c>mount</c> takes it.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="ArgumentException">An option is outside its bounds.</exception>
    /// <exception cref="MountException">The program could not be started, or it could not mount; the message says what it said.</exception>
    public static async Task<DirectMount> OpenDirectAsync(
        string uri, string target, DirectMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(uri);
        ArgumentException.ThrowIfNullOrEmpty(target);
        options = Validated(options);
        var server = await ProgramMountServer.StartAsync(uri, target, ["--direct"], options, cancellationToken);
        return new DirectMount(server, server.Length, server.IsReadOnly, options);
    }

    /// <summary>
    /// Mounts a remote with a local cache as a file that this process serves: by path for other programs, by <see cref="ManagedMount.OpenFile"/> for
    /// this one. Pulling begins before the file is there.
    /// </summary>
    /// <param name="remote">What is mounted. It belongs to the mount from then on, also when this throws.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="managed">The cache, pulls and pushes; null for the defaults.</param>
    /// <param name="options">How the file is mounted; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="ArgumentException">An option is outside its bounds.</exception>
    /// <exception cref="BackendException">The cache could not be opened, or the remote's lease not be taken.</exception>
    /// <exception cref="MountException">The system refused; the message says what to do.</exception>
    public static async Task<ManagedMount> OpenManagedAsync(
        IBackend remote, string target, ManagedMountOptions? managed = null, DirectMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(remote);
        ManagedBackend? backend = null;
        try
        {
            options = Validated(options);
            backend = await ManagedBackend.OpenAsync(remote, (managed ?? new ManagedMountOptions()).WithLinuxFiles(), cancellationToken);
            var mount = await FuseMount.MountAsync(backend, target, FuseOptions(options), cancellationToken);
            var file = new DirectMount(new LocalMountServer(mount, backend), backend.Length, IsReadOnly(backend, options), options);
            return new ManagedMount(file, new LocalManagedServer(backend));
        }
        catch
        {
            if (backend is not null)
                await backend.CloseAsync();
            else
                await remote.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens what a URI names, with the backends of <paramref name="registry"/>, and mounts it with a local cache.</summary>
    /// <inheritdoc cref="OpenManagedAsync(IBackend, string, ManagedMountOptions?, DirectMountOptions?, CancellationToken)"/>
    /// <param name="uri">The remote, which also names it in a cache directory unless <see cref="ManagedMountOptions.RemoteName"/> does.</param>
    /// <param name="registry">Knows the URI's scheme.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="managed">The cache, pulls and pushes; null for the defaults.</param>
    /// <param name="options">How the file is mounted; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="FormatException">The URI is none, or its scheme is not known.</exception>
    /// <exception cref="BackendException">The remote or the cache could not be opened.</exception>
    public static async Task<ManagedMount> OpenManagedAsync(
        string uri, BackendRegistry registry, string target, ManagedMountOptions? managed = null, DirectMountOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        options = Validated(options);
        managed ??= new ManagedMountOptions();
        var remote = await registry.OpenAsync(uri, options.Backend with { ReadOnly = options.ReadOnly || options.Backend.ReadOnly }, cancellationToken);
        return await OpenManagedAsync(remote, target, managed with { RemoteName = managed.RemoteName ?? BackendUri.Parse(uri).Identity }, options, cancellationToken);
    }

    /// <summary>
    /// Mounts what a URI names with a local cache, as a file that the <c>farspan</c> program serves, as a child of this process. It offers everything:
    /// the path, <see cref="ManagedMount.OpenFile"/>, and <see cref="ManagedMount.OpenMemory"/>.
    /// </summary>
    /// <param name="uri">The remote, as the program's <c>mount</c> takes it.</param>
    /// <param name="target">An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside.</param>
    /// <param name="managed">
    /// The cache, pulls and pushes; null for the defaults. Requests have the time of <see cref="BackendOpenOptions.Timeout"/>. What only this process could
    /// do (hooks, progress, a meter, a clock, the order of a function) must be left as it is.
    /// </param>
    /// <param name="options">How the file is mounted; null for the defaults.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="ArgumentException">An option is outside its bounds, or cannot be given to another process.</exception>
    /// <exception cref="MountException">The program could not be started, or it could not mount; the message says what it said.</exception>
    public static async Task<ManagedMount> OpenManagedAsync(
        string uri, string target, ManagedMountOptions? managed = null, DirectMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(uri);
        ArgumentException.ThrowIfNullOrEmpty(target);
        options = Validated(options);
        managed ??= new ManagedMountOptions();
        var arguments = ProgramManagedServer.Arguments(managed).ToArray();

        // The program takes its time to push what is left.
        options = options with { Fuse = options.Fuse with { CloseTimeout = options.Fuse.CloseTimeout + managed.CloseTimeout } };
        var server = await ProgramMountServer.StartAsync(uri, target, arguments, options, cancellationToken);
        var asked = new ProgramManagedServer(server, FarspanProgram.Find(options.Program));
        server.Advance = asked.CountPushedAsync;
        return new ManagedMount(new DirectMount(server, server.Length, server.IsReadOnly, options), asked);
    }

    private static DirectMountOptions Validated(DirectMountOptions? options)
    {
        options ??= new DirectMountOptions();
        options.Validate();
        return options;
    }

    private static FuseMountOptions FuseOptions(DirectMountOptions options) => options.Fuse with { ReadOnly = options.ReadOnly || options.Fuse.ReadOnly };

    private static bool IsReadOnly(IBackend backend, DirectMountOptions options) => backend.IsReadOnly || options.ReadOnly || options.Fuse.ReadOnly;
}
