using System.Text.Json.Serialization;

namespace Farspan.Cli.Doctor;

/// <summary>What an examination of this machine showed of one thing.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FindingState>))]
internal enum FindingState
{
    /// <summary>It works.</summary>
    [JsonStringEnumMemberName("ok")]
    Ok,

    /// <summary>It is not here; what needs it is not available, the rest is.</summary>
    [JsonStringEnumMemberName("missing")]
    Missing,

    /// <summary>Farspan itself needs it, and it does not work.</summary>
    [JsonStringEnumMemberName("broken")]
    Broken,
}
