using Farspan.Cli;

return await FarspanProgram.RunAsync(args, Console.Out, Console.Error);
