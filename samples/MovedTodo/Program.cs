// A list of things to do whose state is a mapped file. Where `farspan seed` and `farspan leech` serve that file, it moves between hosts in the middle of
// a word: SIGTERM suspends, a start on the other host goes on. Keys come from the terminal, or from standard input.
using System.Runtime.InteropServices;
using MovedTodo;

const char EndOfTransmission = '\x04';
if (args.Length != 1)
{
    Console.Error.WriteLine("usage: MovedTodo FILE, of 64KiB or so; its memory is all that the program has");
    return 2;
}

using var suspended = new ManualResetEventSlim();
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Suspend);
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Suspend);
using var list = TodoList.Open(args[0]);
var gate = new Lock();
new Thread(ReadKeys) { IsBackground = true, Name = "keys" }.Start();
suspended.Wait();

// Whoever reads keys waits here until the process has ended.
gate.Enter();
list.Flush();
Console.WriteLine($"suspended after {list.KeyCount} keys");
return 0;

void Suspend(PosixSignalContext context)
{
    context.Cancel = true;
    suspended.Set();
}

void ReadKeys()
{
    Show();
    while (Next() is { } key and not EndOfTransmission)
    {
        lock (gate)
        {
            // Ctrl-L shows the list where no terminal does.
            if (key != '\f')
                list.Type(key);
            if (key == '\f' || !Console.IsInputRedirected)
                Show();
        }
    }

    suspended.Set();
}

static char? Next()
    => !Console.IsInputRedirected ? Console.ReadKey(intercept: true).KeyChar
        : Console.In.Read() is var character and >= 0 ? (char)character
        : null;

void Show()
{
    if (!Console.IsOutputRedirected)
        Console.Clear();
    Console.WriteLine($"to do, after {list.KeyCount} keys (/done N, Ctrl-C or Ctrl-D suspends):");
    int number = 0;
    foreach (var (text, isDone) in list.Items)
        Console.WriteLine($"{++number,3} [{(isDone ? 'x' : ' ')}] {text}");
    Console.WriteLine($"> {list.Draft}");
}
