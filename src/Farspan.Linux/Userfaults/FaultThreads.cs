using Farspan.Linux.Interop;
using Farspan.Mounts;
using Farspan.Waiting;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// The threads that answer a region's faults. One reads messages, many at a time; the others help where several have come, and start when that is so
/// the first time. They take no memory while they work, and never touch what they serve.
/// </summary>
internal sealed unsafe class FaultThreads : IDisposable
{
    private const int StackLength = 512 << 10;
    private const int BatchCapacity = 16;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private readonly UserfaultDescriptor _faults;
    private readonly FaultHandler _handler;
    private readonly SafeDescriptor _stop;
    private readonly SpinBudget _spin = new(Environment.ProcessorCount);
    private readonly Thread[] _threads;
    private readonly UserfaultMessage[] _waiting = new UserfaultMessage[BatchCapacity];
    private readonly object _gate = new();
    private readonly TaskCompletionSource _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waitingCount;
    private int _startedCount;
    private bool _isStopping;

    public FaultThreads(UserfaultDescriptor faults, FaultHandler handler, int count, string name)
    {
        _faults = faults;
        _handler = handler;
        _stop = new SafeDescriptor(Libc.EventFd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK));
        if (_stop.IsInvalid)
            throw LinuxError.Exception(LinuxError.Last, "eventfd");
        _threads = new Thread[count];
        for (int i = 0; i < count; i++)
            _threads[i] = new Thread(i == 0 ? Read : Help, StackLength) { IsBackground = true, Name = $"fault {i} {name}" };
    }

    /// <summary>What ended the reading thread before its time, or null.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Completes when that happens.</summary>
    public Task Broken => _broken.Task;

    public void Start()
    {
        _startedCount = 1;
        _threads[0].Start();
    }

    /// <summary>Ends the threads, each when it has answered what it is at; whether all have ended.</summary>
    public bool Stop()
    {
        ulong one = 1;
        _ = Libc.Write(_stop.Number, (byte*)&one, sizeof(ulong));
        lock (_gate)
        {
            _isStopping = true;
            Monitor.PulseAll(_gate);
        }

        return Array.TrueForAll(_threads, thread => !thread.IsAlive || thread.Join(s_patience));
    }

    public void Dispose() => _stop.Dispose();

    private void Read()
    {
        var messages = stackalloc UserfaultMessage[BatchCapacity];
        while (!Volatile.Read(ref _isStopping))
        {
            int count = Receive(messages);
            if (count < 0)
            {
                Failure = new MountException($"Reading a region's faults failed: {LinuxError.Exception((Errno)(-count), "read of a userfault descriptor").Message}");
                _broken.TrySetResult();
                return;
            }

            // Those that change the memory's place come before the faults that follow them.
            int faults = 0;
            for (int i = 0; i < count; i++)
            {
                if (messages[i].Event == UserfaultEvent.PAGEFAULT)
                    messages[faults++] = messages[i];
                else
                    _handler.Handle(messages[i]);
            }

            if (faults > 1)
            {
                Share(messages + 1, faults - 1);
                StartHelpers();
            }

            if (faults > 0)
                _handler.Handle(messages[0]);
            while (faults > 1 && TryTake(out var shared))
                _handler.Handle(shared);
        }
    }

    private void Help()
    {
        while (true)
        {
            UserfaultMessage message;
            lock (_gate)
            {
                while (_waitingCount == 0 && !_isStopping)
                    Monitor.Wait(_gate);
                if (_isStopping)
                    return;
                message = _waiting[--_waitingCount];
            }

            _handler.Handle(message);
        }
    }

    private int Receive(UserfaultMessage* messages)
    {
        int count = _faults.Read(messages, BatchCapacity);
        if (count != 0)
            return count;
        if (_spin.TryBegin())
        {
            for (int looks = 0; looks < SpinBudget.MostLooks && count == 0; looks++)
                count = _faults.Read(messages, BatchCapacity);
            _spin.End(hasFound: count != 0);
            if (count != 0)
                return count;
        }

        var entries = stackalloc PollEntry[2];
        entries[0] = new PollEntry { Descriptor = _faults.Descriptor.Number, Wanted = Libc.POLLIN };
        entries[1] = new PollEntry { Descriptor = _stop.Number, Wanted = Libc.POLLIN };
        _ = Libc.Poll(entries, 2, -1);

        // Its reads would wait now: another process that has it too changed that, and would have this thread go round for ever.
        return (entries[0].Found & Libc.POLLERR) == 0 ? 0 : -(int)Errno.EBADF;
    }

    private void Share(UserfaultMessage* messages, int count)
    {
        lock (_gate)
        {
            // The reader shares again only when all of the last batch was taken.
            for (int i = 0; i < count; i++)
                _waiting[_waitingCount++] = messages[i];
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>By the reading thread. Where there are no more threads to be had, it goes on by itself.</summary>
    private void StartHelpers()
    {
        try
        {
            while (_startedCount < _threads.Length)
                _threads[_startedCount++].Start();
        }
        catch (Exception error) when (error is OutOfMemoryException or ThreadStartException)
        {
            _startedCount = _threads.Length;
        }
    }

    private bool TryTake(out UserfaultMessage message)
    {
        lock (_gate)
        {
            message = default;
            if (_waitingCount == 0)
                return false;
            message = _waiting[--_waitingCount];
            return true;
        }
    }
}
