using System.Text.Json;

namespace MoeSharp;

/// <summary>Writes the fields of options that differ from their defaults.</summary>
internal static class JsonFields
{
    /// <summary>A number, unless it is the default.</summary>
    public static void WriteUnless(this Utf8JsonWriter json, double absent, string name, double value)
    {
        if (value != absent) json.WriteNumber(name, value);
    }

    /// <summary>A whole number, unless it is the default.</summary>
    public static void WriteUnless(this Utf8JsonWriter json, int absent, string name, int value)
    {
        if (value != absent) json.WriteNumber(name, value);
    }

    /// <summary>A number, unless it is null.</summary>
    public static void WriteGiven(this Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
    }

    /// <summary>true, or nothing.</summary>
    public static void WriteFlag(this Utf8JsonWriter json, string name, bool value)
    {
        if (value) json.WriteBoolean(name, value);
    }

    /// <summary>A value's word, unless the value is the default; that is the first of its enumeration unless said otherwise.</summary>
    public static void WriteWord<T>(this Utf8JsonWriter json, string name, Words<T> words, T value, T absent = default)
        where T : struct
    {
        if (!EqualityComparer<T>.Default.Equals(value, absent)) json.WriteString(name, words.For(value));
    }

    /// <summary>An object, unless there is none.</summary>
    public static void WriteObject<T>(this Utf8JsonWriter json, string name, T? value, Action<Utf8JsonWriter, T> write)
        where T : class
    {
        if (value is null) return;

        json.WriteStartObject(name);
        write(json, value);
        json.WriteEndObject();
    }
}
