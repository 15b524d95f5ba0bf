using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Farspan.Cli.Tests.Gates;

/// <summary>Writes the public API of an assembly as sorted lines, for people to compare.</summary>
internal static class PublicApiText
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>The API's text.</summary>
    public static string Of(Assembly assembly)
    {
        var text = new StringBuilder();
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(Kind(type)).Append(' ').Append(Name(type)).Append(Bases(type)).Append('\n');
            foreach (string member in type.GetMembers(Declared).Select(Member).OfType<string>().Order(StringComparer.Ordinal))
                text.Append("    ").Append(member).Append('\n');
        }

        return text.ToString();
    }

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => "struct",
        _ when typeof(Delegate).IsAssignableFrom(type) => "delegate",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static string Bases(Type type)
    {
        if (type.IsEnum || typeof(Delegate).IsAssignableFrom(type))
            return "";
        var bases = new List<string>();
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType))
            bases.Add(Name(parent));
        bases.AddRange(type.GetInterfaces().Except(type.BaseType?.GetInterfaces() ?? []).Select(Name).Order(StringComparer.Ordinal));
        return bases.Count == 0 ? "" : $" : {string.Join(", ", bases)}";
    }

    private static string? Member(MemberInfo member) => member switch
    {
        _ when member.IsDefined(typeof(CompilerGeneratedAttribute)) => null,
        FieldInfo field when field.DeclaringType!.IsEnum && field.IsStatic => $"{field.Name} = {Convert.ToInt64(field.GetRawConstantValue())}",
        FieldInfo field when Seen(field.IsPublic, field.IsFamily || field.IsFamilyOrAssembly) && !field.IsSpecialName
            => $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}",
        PropertyInfo property => Property(property),
        EventInfo happening when happening.AddMethod is { IsPublic: true } => $"event {Name(happening.EventHandlerType!)} {happening.Name}",
        ConstructorInfo constructor when !constructor.IsStatic && Seen(constructor.IsPublic, constructor.IsFamily || constructor.IsFamilyOrAssembly)
            => $"new({Parameters(constructor)})",
        MethodInfo method when Seen(method.IsPublic, method.IsFamily || method.IsFamilyOrAssembly) && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal))
            => $"{Modifiers(method)}{Name(method.ReturnType)} {method.Name}{Generics(method)}({Parameters(method)})",
        _ => null,
    };

    private static bool Seen(bool isPublic, bool isProtected) => isPublic || isProtected;

    private static string? Property(PropertyInfo property)
    {
        var accessors = property.GetAccessors(nonPublic: true).Where(accessor => Seen(accessor.IsPublic, accessor.IsFamily || accessor.IsFamilyOrAssembly)).ToArray();
        if (accessors.Length == 0)
            return null;
        bool isInit = property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ?? false;
        string set = property.SetMethod is { } setter && accessors.Contains(setter) ? isInit ? " init;" : " set;" : "";
        string get = property.GetMethod is { } getter && accessors.Contains(getter) ? " get;" : "";
        return $"{Modifiers(accessors[0])}{Name(property.PropertyType)} {property.Name} {{{get}{set} }}";
    }

    private static string Modifiers(MethodInfo method)
        => (method.IsFamily ? "protected " : "") + (method.IsStatic ? "static " : method.IsAbstract && !method.DeclaringType!.IsInterface ? "abstract "
            : method.IsVirtual && !method.IsFinal && method.GetBaseDefinition() == method && !method.DeclaringType!.IsInterface ? "virtual " : "");

    private static string Generics(MethodInfo method)
        => method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";

    private static string Parameters(MethodBase method)
        => string.Join(", ", method.GetParameters().Select(parameter =>
            $"{(parameter.IsOut ? "out " : "")}{Name(parameter.ParameterType)} {parameter.Name}{(parameter.IsOptional ? " = …" : "")}"));

    private static string Name(Type type)
    {
        if (type.IsByRef)
            return Name(type.GetElementType()!);
        if (type.IsArray)
            return $"{Name(type.GetElementType()!)}[]";
        if (type.IsPointer)
            return $"{Name(type.GetElementType()!)}*";
        if (type.IsGenericParameter)
            return type.Name;
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return $"{Name(inner)}?";
        string full = type.Namespace?.StartsWith("Farspan", StringComparison.Ordinal) == true && type.FullName is { } name ? name : type.Name;
        int tick = full.IndexOf('`', StringComparison.Ordinal);
        string plain = (tick < 0 ? full : full[..tick]).Replace('+', '.');
        return type.IsGenericType ? $"{plain}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>" : plain;
    }
}
