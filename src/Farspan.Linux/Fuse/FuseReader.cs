using Farspan.Linux.Interop;
using Farspan.Mounts;
using Farspan.Waiting;

namespace Farspan.Linux.Fuse;

/// <summary>A thread that reads requests and hands them to the server until the connection ends or it is stopped.</summary>
internal sealed unsafe class FuseReader
{
    private const int StackLength = 512 << 10;

    private readonly FuseDevice _device;
    private readonly FuseDevice? _lookout;
    private readonly SpinBudget _spin = new(Environment.ProcessorCount);
    private readonly FuseFileServer _server;
    private readonly FuseRequestPool _pool;
    private readonly Action<Exception?> _ended;
    private readonly Thread _thread;
    private volatile bool _isStopping;
    private volatile int _threadId;

    /// <param name="device">What is read.</param>
    /// <param name="lookout">The same connection for reads that never wait; null where there is none.</param>
    /// <param name="server">What handles the requests.</param>
    /// <param name="pool">Where requests come from.</param>
    /// <param name="ended">Called on the thread as the last thing it does, with what made it fail or null.</param>
    /// <param name="name">The thread's name.</param>
    public FuseReader(FuseDevice device, FuseDevice? lookout, FuseFileServer server, FuseRequestPool pool, Action<Exception?> ended, string name)
    {
        _device = device;
        _lookout = lookout;
        _server = server;
        _pool = pool;
        _ended = ended;
        _thread = new Thread(Run, StackLength) { IsBackground = true, Name = name };
    }

    public void Start() => _thread.Start();

    /// <summary>Makes the thread end when it next comes back from the kernel or the backend.</summary>
    public void BeginStop() => _isStopping = true;

    /// <summary>
    /// Wakes the thread if it waits in the kernel; whether it has ended. The signal can come between its look at the flag and the call that is
    /// to be interrupted, so this is called until it has.
    /// </summary>
    public bool TryEnd(TimeSpan patience)
    {
        if (_threadId != 0)
            WakeSignal.Send(_threadId);
        return _thread.Join(patience);
    }

    private void Run()
    {
        Exception? failure = null;
        FuseRequest? request = null;
        try
        {
            _threadId = Libc.ThreadId();
            request = _pool.Rent();
            while (request is not null && !_isStopping)
            {
                int length = Receive(request);
                if (length >= 0)
                {
                    if (!_server.Handle(request, length))
                        request = _pool.Rent();
                }
                else if (!MayGoOn(request, (Errno)(-length)))
                {
                    break;
                }
            }
        }
        catch (Exception error)
        {
            failure = error;
        }
        finally
        {
            if (request is not null)
                _pool.Return(request);
            _threadId = 0;
            _ended(failure);
        }
    }

    private int Receive(FuseRequest request)
    {
        if (_lookout is not null && _spin.TryBegin())
        {
            request.Channel = _lookout;
            int length = -(int)Errno.EAGAIN;
            for (int looks = 0; looks < SpinBudget.MostLooks && length == -(int)Errno.EAGAIN; looks++)
                length = _lookout.Receive(request.Input, request.InputCapacity);
            _spin.End(hasFound: length != -(int)Errno.EAGAIN);
            if (length != -(int)Errno.EAGAIN)
                return length;
        }

        request.Channel = _device;
        return _device.Receive(request.Input, request.InputCapacity);
    }

    private bool MayGoOn(FuseRequest request, Errno error) => error switch
    {
        // ENOENT: the request was withdrawn while it was read.
        Errno.EINTR or Errno.EAGAIN or Errno.ENOENT => true,
        // Unmounted.
        Errno.ENODEV => false,
        Errno.ECONNABORTED => WasUnmounted(request) ? false
            : throw new MountException("the connection was aborted from outside; what programs wrote without a later fsync may be lost"),
        _ => throw LinuxError.Exception(error, "reading /dev/fuse"),
    };

    // A request that is taken up just while the connection ends is answered with ECONNABORTED too, as when files are closed after a lazy
    // unmount. Once the connection has ended for good, which takes it moments, the kernel tells an unmount from an abort.
    private bool WasUnmounted(FuseRequest request)
    {
        _device.WaitForEnd();
        return _device.Receive(request.Input, request.InputCapacity) != -(int)Errno.ECONNABORTED;
    }
}
