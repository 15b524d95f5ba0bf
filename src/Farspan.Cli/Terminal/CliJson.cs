using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Farspan.Cli.Agents;
using Farspan.Cli.Copying;
using Farspan.Cli.Demo;
using Farspan.Cli.Doctor;
using Farspan.Cli.Inspection;
using Farspan.Cli.Migration;
using Farspan.Cli.Mounting;
using Farspan.Cli.Serving;

namespace Farspan.Cli.Terminal;

/// <summary>Every JSON shape that the program reads or writes, generated when it is built so that start-up pays no reflection.</summary>
[JsonSerializable(typeof(AgentEvent))]
[JsonSerializable(typeof(BackendReport))]
[JsonSerializable(typeof(ClosedMount))]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlReply))]
[JsonSerializable(typeof(CopyReport))]
[JsonSerializable(typeof(DemoReport))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(MountRecord))]
[JsonSerializable(typeof(MountReport))]
[JsonSerializable(typeof(MountReport[]))]
[JsonSerializable(typeof(MountedFile))]
[JsonSerializable(typeof(MoveEvent))]
[JsonSerializable(typeof(RegionReport))]
[JsonSerializable(typeof(ServeEvent))]
internal sealed partial class CliJson : JsonSerializerContext
{
    /// <summary>The shapes, as the program writes them: camel case, nothing for null, URIs readable.</summary>
    public static CliJson Shapes { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
