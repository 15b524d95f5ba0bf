using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// A userfault descriptor: tells of page faults in registered memory, and answers them. Its reads never wait. Thread-safe.
/// </summary>
/// <remarks>
/// Addresses are those of the process whose memory is registered, which need not be this one. The methods return what the kernel said, for the
/// caller to deal with; misuse alone throws.
/// </remarks>
internal sealed unsafe class UserfaultDescriptor : IDisposable
{
    private const int CurrentPosition = -1;

    /// <summary>What the kernel offers, once it is known.</summary>
    private static ulong s_offered;

    private readonly SafeDescriptor _descriptor;
    private volatile bool _readsPlainly;

    private UserfaultDescriptor(SafeDescriptor descriptor, UserfaultFeatures features, UserfaultRights rights)
    {
        _descriptor = descriptor;
        Features = features;
        Rights = rights;
    }

    /// <summary>The features agreed with the kernel.</summary>
    public UserfaultFeatures Features { get; }

    /// <summary>What this user was given.</summary>
    public UserfaultRights Rights { get; }

    /// <summary>The descriptor itself, to wait for it or to send it to another process.</summary>
    public SafeDescriptor Descriptor => _descriptor;

    /// <summary>Opens a descriptor for memory of this process, by the best way that this user has.</summary>
    /// <param name="wanted">Features that are taken where they can be had.</param>
    /// <exception cref="BackendException">This kernel or this user has no userfaults.</exception>
    public static UserfaultDescriptor Open(UserfaultFeatures wanted)
    {
        var offered = Offered();
        var descriptor = OpenDescriptor(out var rights);
        try
        {
            // The kernel offers EVENT_FORK to all, and grants it to those with CAP_SYS_PTRACE.
            var features = wanted & offered;
            var error = Agree(descriptor, features, out _);
            if (error == Errno.EPERM && features.HasFlag(UserfaultFeatures.EVENT_FORK))
            {
                features &= ~UserfaultFeatures.EVENT_FORK;
                error = Agree(descriptor, features, out _);
            }

            return error == Errno.Ok ? new UserfaultDescriptor(descriptor, features, rights) : throw LinuxError.Exception(error, $"UFFDIO_API with {features}");
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    /// <summary>Takes over a descriptor that another process opened, agreed on and sent.</summary>
    public static UserfaultDescriptor Adopt(SafeDescriptor descriptor, UserfaultFeatures features)
    {
        // Reads of ours must not wait, whatever the sender chose.
        int flags = Libc.Fcntl(descriptor.Number, Libc.F_GETFL, 0);
        if (flags < 0 || Libc.Fcntl(descriptor.Number, Libc.F_SETFL, flags | Libc.O_NONBLOCK) < 0)
            throw LinuxError.Exception(LinuxError.Last, "fcntl of the userfault descriptor");
        return new UserfaultDescriptor(descriptor, features, UserfaultRights.Adopted);
    }

    /// <summary>Takes over a descriptor that another process opened and sent, and agrees on features for it. It is the caller's where this throws.</summary>
    /// <exception cref="BackendException">It is none, or has agreed on something before.</exception>
    public static UserfaultDescriptor AdoptNew(SafeDescriptor descriptor, UserfaultFeatures wanted)
    {
        if (new FileInfo($"/proc/self/fd/{descriptor.Number}").LinkTarget != "anon_inode:[userfaultfd]")
            throw new BackendException(BackendError.Invalid, "The first descriptor is no userfault descriptor.");
        var features = wanted & Offered();
        if (Agree(descriptor, features, out _) is var error and not Errno.Ok)
        {
            throw error == Errno.EINVAL
                ? new BackendException(BackendError.Invalid, "The userfault descriptor has agreed with the kernel before (UFFDIO_API); send a new one.")
                : LinuxError.Exception(error, $"UFFDIO_API with {features}");
        }

        return Adopt(descriptor, features);
    }

    /// <summary>Opens a descriptor that has agreed on nothing, to be sent to another process.</summary>
    /// <exception cref="BackendException">This kernel or this user has no userfaults.</exception>
    public static SafeDescriptor OpenNew() => OpenDescriptor(out _);

    /// <summary>Has faults of a range told here.</summary>
    /// <param name="address">First byte; a page's.</param>
    /// <param name="length">Bytes; whole pages.</param>
    /// <param name="modes">UFFDIO_REGISTER_MODE_*.</param>
    /// <param name="ioctls">What can be done to the range: bit n is the request with number n.</param>
    public Errno Register(ulong address, ulong length, ulong modes, out ulong ioctls)
    {
        var registration = new UserfaultRegistration { Range = new UserfaultRange { Start = address, Length = length }, Mode = modes };
        var error = Control(Libc.UFFDIO_REGISTER, &registration);
        ioctls = registration.Ioctls;
        return error;
    }

    /// <summary>Ends that. Threads that wait go on, and find the memory as any other: what is absent is zero then.</summary>
    public Errno Unregister(ulong address, ulong length) => Range(Libc.UFFDIO_UNREGISTER, address, length);

    /// <summary>Lets threads go on that wait in a range; they look again.</summary>
    public Errno Wake(ulong address, ulong length) => Range(Libc.UFFDIO_WAKE, address, length);

    /// <summary>Makes absent pages present with these bytes.</summary>
    /// <param name="address">First byte; a page's.</param>
    /// <param name="source">The bytes, in this process.</param>
    /// <param name="length">Bytes; whole pages.</param>
    /// <param name="mode">UFFDIO_COPY_MODE_*.</param>
    /// <param name="done">Bytes that were done before it stopped.</param>
    /// <returns>EEXIST: the next page is present; EAGAIN: memory is being rearranged, or it was cut short; ENOENT or ESRCH: the memory is gone.</returns>
    public Errno Copy(ulong address, byte* source, ulong length, ulong mode, out long done)
        => Transfer(Libc.UFFDIO_COPY, address, (ulong)source, length, mode, out done);

    /// <summary>Moves pages of this process's private memory to where they are absent; as <see cref="Copy"/>.</summary>
    public Errno Move(ulong address, ulong source, ulong length, ulong mode, out long done)
        => Transfer(Libc.UFFDIO_MOVE, address, source, length, mode, out done);

    /// <summary>Makes absent pages the shared page of zeroes, which takes no memory until it is written; as <see cref="Copy"/>.</summary>
    public Errno ZeroPages(ulong address, ulong length, ulong mode, out long done) => Act(Libc.UFFDIO_ZEROPAGE, address, length, mode, out done);

    /// <summary>Maps pages that the file behind shared memory has; as <see cref="Copy"/>.</summary>
    public Errno Continue(ulong address, ulong length, ulong mode, out long done) => Act(Libc.UFFDIO_CONTINUE, address, length, mode, out done);

    /// <summary>Makes every touch of absent pages end in SIGBUS, until they are dropped; as <see cref="Copy"/>.</summary>
    public Errno Poison(ulong address, ulong length, ulong mode, out long done) => Act(Libc.UFFDIO_POISON, address, length, mode, out done);

    /// <summary>Protects pages against writes, or ends that.</summary>
    /// <param name="address">First byte; a page's.</param>
    /// <param name="length">Bytes; whole pages.</param>
    /// <param name="mode">UFFDIO_WRITEPROTECT_MODE_*; without WP it ends the protection.</param>
    public Errno WriteProtect(ulong address, ulong length, ulong mode)
    {
        // The kernel's struct has no last field.
        var action = new UserfaultRangeAction { Range = new UserfaultRange { Start = address, Length = length }, Mode = mode };
        return Control(Libc.UFFDIO_WRITEPROTECT, &action);
    }

    /// <summary>Reads what has happened, without waiting.</summary>
    /// <returns>The number of messages; 0 where nothing has happened; or the negated errno: EINVAL where the descriptor never agreed.</returns>
    public int Read(UserfaultMessage* messages, int capacity)
    {
        nint length = Rights == UserfaultRights.Adopted && !_readsPlainly
            ? ReadNow(messages, capacity)
            : Libc.Read(_descriptor.Number, (byte*)messages, (nuint)(capacity * sizeof(UserfaultMessage)));
        if (length >= 0)
            return (int)length / sizeof(UserfaultMessage);
        return LinuxError.Last is Errno.EAGAIN or Errno.EINTR ? 0 : -(int)LinuxError.Last;
    }

    /// <summary>Closes it. Threads that wait go on, and find the memory as any other: what is absent is zero then, so its owner unmaps it first.</summary>
    public void Dispose() => _descriptor.Dispose();

    // Whoever sent it still has it, and may have made its reads wait since.
    private nint ReadNow(UserfaultMessage* messages, int capacity)
    {
        var vector = new IoVector { Start = (byte*)messages, Length = (nuint)(capacity * sizeof(UserfaultMessage)) };
        nint length = Libc.ReadVectorAt(_descriptor, &vector, 1, CurrentPosition, Libc.RWF_NOWAIT);
        if (length >= 0 || LinuxError.Last != Errno.EOPNOTSUPP)
            return length;
        _readsPlainly = true;
        return Libc.Read(_descriptor.Number, (byte*)messages, vector.Length);
    }

    private static UserfaultFeatures Offered()
    {
        if (Volatile.Read(ref s_offered) is not 0 and var known)
            return (UserfaultFeatures)known;

        // Told by a descriptor that agrees on nothing; one that has agreed cannot agree again.
        using var asked = OpenDescriptor(out _);
        var refusal = Agree(asked, UserfaultFeatures.None, out var offered);
        if (refusal != Errno.Ok)
            throw LinuxError.Exception(refusal, "UFFDIO_API");
        Volatile.Write(ref s_offered, (ulong)offered);
        return offered;
    }

    private static SafeDescriptor OpenDescriptor(out UserfaultRights rights)
    {
        const int flags = Libc.O_CLOEXEC | Libc.O_NONBLOCK;
        using (var device = new SafeDescriptor(Libc.Open("/dev/userfaultfd", Libc.O_RDWR | Libc.O_CLOEXEC, 0)))
        {
            int opened = device.IsInvalid ? -1 : Libc.ControlUserfault(device, (nuint)Libc.USERFAULTFD_IOC_NEW, flags);
            rights = UserfaultRights.Device;
            if (opened >= 0)
                return new SafeDescriptor(opened);
        }

        long descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, flags, 0);
        rights = UserfaultRights.SystemCall;
        if (descriptor < 0)
        {
            descriptor = Libc.SystemCall(Libc.UserfaultSystemCall, flags | Libc.UFFD_USER_MODE_ONLY, 0);
            rights = UserfaultRights.UserModeOnly;
        }

        return descriptor >= 0 ? new SafeDescriptor((int)descriptor) : throw Refusal(LinuxError.Last);
    }

    private static BackendException Refusal(Errno errno)
    {
        var error = LinuxError.Exception(errno, "userfaultfd");
        return new BackendException(error.Error, $"This system gives this user no userfaults, which remote memory needs: {error.Message} 'farspan doctor' says how to enable them.");
    }

    private static Errno Agree(SafeDescriptor descriptor, UserfaultFeatures features, out UserfaultFeatures offered)
    {
        var api = new UserfaultApi { Api = Libc.UFFD_API, Features = (ulong)features };
        var error = Libc.ControlUserfault(descriptor, (nuint)Libc.UFFDIO_API, &api) == 0 ? Errno.Ok : LinuxError.Last;
        offered = (UserfaultFeatures)api.Features;
        return error;
    }

    private Errno Transfer(nuint request, ulong address, ulong source, ulong length, ulong mode, out long done)
    {
        var transfer = new UserfaultTransfer { Destination = address, Source = source, Length = length, Mode = mode };
        var error = Control(request, &transfer);
        done = Math.Max(0, transfer.Done);
        return error;
    }

    private Errno Act(nuint request, ulong address, ulong length, ulong mode, out long done)
    {
        var action = new UserfaultRangeAction { Range = new UserfaultRange { Start = address, Length = length }, Mode = mode };
        var error = Control(request, &action);
        done = Math.Max(0, action.Done);
        return error;
    }

    private Errno Range(nuint request, ulong address, ulong length)
    {
        var range = new UserfaultRange { Start = address, Length = length };
        return Control(request, &range);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Errno Control(nuint request, void* argument) => Libc.ControlUserfault(_descriptor, request, argument) == 0 ? Errno.Ok : LinuxError.Last;
}
