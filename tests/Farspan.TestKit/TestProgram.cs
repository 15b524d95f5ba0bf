namespace Farspan.TestKit;

/// <summary>Programs of this repository that tests run: they are built beside the test project, in the same configuration.</summary>
public static class TestProgram
{
    /// <summary>The path of a project's executable.</summary>
    public static string Path(string project)
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        string path = System.IO.Path.Combine(configuration.Parent!.Parent!.FullName, project, configuration.Name, project);
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is not built; build the whole solution.", path);
    }
}
