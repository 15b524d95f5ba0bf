using BenchmarkDotNet.Running;

// usage: dotnet run -c Release --project bench/Farspan.Benchmarks -- --filter '*'
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
