using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>Finds the <c>farspan</c> program.</summary>
internal static class FarspanProgram
{
    private const string Name = "farspan";
    private const string Variable = "FARSPAN_PROGRAM";

    /// <summary>Its path: the one told, else what the environment names, else beside this application, else on the search path.</summary>
    /// <exception cref="MountException">It is in none of these places.</exception>
    public static string Find(string? told)
    {
        if ((told ?? Environment.GetEnvironmentVariable(Variable)) is { Length: > 0 } path)
            return File.Exists(path) ? path : throw new MountException($"There is no program {path}; give the path of the farspan program.");
        return Environment.GetEnvironmentVariable("PATH")?.Split(':').Prepend(AppContext.BaseDirectory)
                .Where(d => d.Length > 0).Select(d => Path.Combine(d, Name)).FirstOrDefault(File.Exists)
            ?? throw new MountException(
                $"The farspan program, which is to serve the mount, was not found: put it beside this application or on the PATH, or name it in {Variable}.");
    }
}
