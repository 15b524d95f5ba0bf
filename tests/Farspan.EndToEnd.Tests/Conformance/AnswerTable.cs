using System.Text;

namespace Farspan.EndToEnd.Tests.Conformance;

/// <summary>Questions, what each server answers, and why ours differs where it does: a table in Markdown, kept on file.</summary>
internal sealed class AnswerTable(IReadOnlyList<string> servers)
{
    private readonly List<string> _questions = [];
    private readonly Dictionary<(string Question, string Server), string> _answers = [];
    private readonly Dictionary<string, string> _reviews = new(StringComparer.Ordinal);

    /// <summary>Reads a table back, with its reviews.</summary>
    public static AnswerTable Parse(string text)
    {
        string[][] rows = [.. text.Split('\n').Where(l => l.StartsWith('|')).Select(l => l.Trim().Trim('|').Split('|').Select(c => c.Trim()).ToArray())];
        if (rows.Length == 0)
            return new AnswerTable([]);
        var table = new AnswerTable(rows[0][1..^1]);
        foreach (string[] row in rows.Skip(2))
        {
            for (int i = 0; i < table.Servers.Count; i++)
                table.Add(table.Servers[i], row[0], row[i + 1]);
            table._reviews[row[0]] = row[^1];
        }

        return table;
    }

    public IReadOnlyList<string> Servers => servers;

    public IReadOnlyList<string> Questions => _questions;

    public void Add(string server, string question, string answer)
    {
        if (!_questions.Contains(question, StringComparer.Ordinal))
            _questions.Add(question);
        _answers[(question, server)] = answer;
    }

    public string Answer(string server, string question) => _answers.GetValueOrDefault((question, server), "(none)");

    public string Review(string question) => _reviews.GetValueOrDefault(question, "");

    /// <summary>Takes the reviews of questions that are in both.</summary>
    public void TakeReviews(AnswerTable other)
    {
        foreach (string question in _questions)
            _reviews[question] = other.Review(question);
    }

    /// <summary>The questions that some server answers differently than <paramref name="server"/>, and that nobody explained.</summary>
    public IEnumerable<string> Unexplained(string server)
        => _questions.Where(q => Review(q).Length == 0 && Servers.Any(other => Answer(other, q) != Answer(server, q)));

    public string ToMarkdown()
    {
        var text = new StringBuilder();
        Row(text, ["question", .. Servers, "why ours differs"]);
        Row(text, [.. Enumerable.Repeat("---", Servers.Count + 2)]);
        foreach (string question in _questions)
            Row(text, [question, .. Servers.Select(s => Answer(s, question)), Review(question)]);
        return text.ToString();
    }

    private static void Row(StringBuilder text, IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
}
