namespace Farspan.Cli.Terminal;

/// <summary>How progress is shown.</summary>
internal enum ProgressMode
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>A line now and then, for logs.</summary>
    Lines,

    /// <summary>One line of a terminal, redrawn.</summary>
    Redraw,
}
