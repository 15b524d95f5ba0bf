namespace Farspan.TestKit;

/// <summary>Where the project's source lies.</summary>
public static class RepositoryRoot
{
    /// <summary>The directory that holds <c>Farspan.slnx</c>.</summary>
    public static string Path { get; } = Find();

    /// <summary>The path of a file or directory under the root.</summary>
    public static string Combine(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    private static string Find()
    {
        for (string? at = AppContext.BaseDirectory; at is not null; at = System.IO.Path.GetDirectoryName(at))
        {
            if (File.Exists(System.IO.Path.Combine(at, "Farspan.slnx")))
                return at;
        }

        throw new InvalidOperationException($"No Farspan.slnx above {AppContext.BaseDirectory}.");
    }
}
