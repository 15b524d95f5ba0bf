using Farspan.Cli;
using Farspan.Cli.Mounting;
using Microsoft.Win32.SafeHandles;

if (!DetachedChild.IsThisProcess)
    return await FarspanProgram.RunAsync(args, Console.Out, Console.Error);

// Console keeps copies of the descriptors, which would hold the parent's pipes open after this process let go of them.
return await FarspanProgram.RunAsync(args, OpenPipe(1), OpenPipe(2));

static StreamWriter OpenPipe(int descriptor)
    => new(new FileStream(new SafeFileHandle(descriptor, ownsHandle: false), FileAccess.Write, bufferSize: 0)) { AutoFlush = true };
