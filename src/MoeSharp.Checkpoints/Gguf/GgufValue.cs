using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace MoeSharp.Checkpoints;

/// <summary>
/// One value of a GGUF file's metadata. Numbers and flags are held; texts and arrays stay in the file until they are asked for, and of a file
/// that was closed they cannot be had. Immutable, and safe from several threads.
/// </summary>
[DebuggerDisplay("{ToString(),nq}")]
public sealed class GgufValue
{
    private readonly MappedFile _file;
    private readonly string _key;
    private readonly ulong _bits;       // of a number or flag; the length of a text, in bytes, or of an array
    private readonly long _position;    // of the first byte of a text or array

    internal GgufValue(MappedFile file, string key, GgufValueType type, ulong bits, long position = 0, GgufValueType? elementType = null)
    {
        (_file, _key, Type, _bits, _position, ElementType) = (file, key, type, bits, position, elementType);
    }

    /// <summary>What the value is.</summary>
    public GgufValueType Type { get; }

    /// <summary>What the elements of an array are; null when the value is no array.</summary>
    public GgufValueType? ElementType { get; }

    /// <summary>The number of elements of an array.</summary>
    /// <exception cref="CheckpointException">The value is no array.</exception>
    public long Count => Type == GgufValueType.Array ? (long)_bits : throw Mismatch("a list");

    /// <summary>The elements of an array, in order, each read when its turn comes: a vocabulary of any size takes no memory.</summary>
    /// <exception cref="CheckpointException">The value is no array.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public IEnumerable<GgufValue> Items => ElementType is { } type ? ReadItems(type) : throw Mismatch("a list");

    /// <summary>A whole number of any width; false when the value is none, or is above 2^63 - 1.</summary>
    public bool TryGetInteger(out long value)
    {
        bool isInteger = Type switch
        {
            GgufValueType.U64 => _bits <= long.MaxValue,
            GgufValueType.U8 or GgufValueType.I8 or GgufValueType.U16 or GgufValueType.I16 or GgufValueType.U32 or GgufValueType.I32 or GgufValueType.I64 => true,
            _ => false,
        };
        value = isInteger ? (long)_bits : 0;
        return isInteger;
    }

    /// <summary>A number, whole or not: exactly, or the nearest where a whole number is above 2^53. False when the value is none.</summary>
    public bool TryGetNumber(out double value)
    {
        switch (Type)
        {
            case GgufValueType.F32 or GgufValueType.F64:
                value = BitConverter.UInt64BitsToDouble(_bits);
                return true;
            case GgufValueType.U64:
                value = _bits;
                return true;
            default:
                bool isInteger = TryGetInteger(out long integer);
                value = integer;
                return isInteger;
        }
    }

    /// <summary>True or false; no number is either.</summary>
    public bool TryGetFlag(out bool value)
    {
        value = Type == GgufValueType.Flag && _bits != 0;
        return Type == GgufValueType.Flag;
    }

    /// <summary>A text; false when the value is none.</summary>
    /// <exception cref="CheckpointException">The text, an element of an array, is not UTF-8. Texts by themselves are checked when the file is opened.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public bool TryGetText([NotNullWhen(true)] out string? value)
    {
        value = null;
        if (Type != GgufValueType.Text) return false;

        var bytes = _file.Bytes(_position, (int)_bits); // in the file, and a span: checked when it was found
        if (!Utf8.IsValid(bytes)) throw new CheckpointException(_file.Path, $"Metadata {TensorName.Quote(_key)} has a text that is not UTF-8.");

        value = Encoding.UTF8.GetString(bytes);
        return true;
    }

    /// <summary>What <see cref="TryGetInteger"/> gives.</summary>
    /// <exception cref="CheckpointException">The value is no whole number up to 2^63 - 1.</exception>
    public long GetInteger() => TryGetInteger(out long value) ? value : throw Mismatch($"a whole number up to {long.MaxValue}");

    /// <summary>What <see cref="TryGetNumber"/> gives.</summary>
    /// <exception cref="CheckpointException">The value is no number.</exception>
    public double GetNumber() => TryGetNumber(out double value) ? value : throw Mismatch("a number");

    /// <summary>What <see cref="TryGetFlag"/> gives.</summary>
    /// <exception cref="CheckpointException">The value is neither true nor false.</exception>
    public bool GetFlag() => TryGetFlag(out bool value) ? value : throw Mismatch("true or false");

    /// <summary>What <see cref="TryGetText"/> gives.</summary>
    /// <exception cref="CheckpointException">The value is no text, or one that is not UTF-8.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public string GetText() => TryGetText(out string? value) ? value : throw Mismatch("text");

    /// <summary>A number or flag as it is, and of a text or array its size.</summary>
    public override string ToString() => Type switch
    {
        GgufValueType.Text => $"text of {_bits} bytes",
        GgufValueType.Array => $"a list of {_bits} {ElementType}",
        GgufValueType.Flag => _bits != 0 ? "true" : "false",
        GgufValueType.U64 => string.Create(CultureInfo.InvariantCulture, $"{_bits}"),
        GgufValueType.F32 or GgufValueType.F64 => string.Create(CultureInfo.InvariantCulture, $"{BitConverter.UInt64BitsToDouble(_bits)}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(long)_bits}"),
    };

    private IEnumerable<GgufValue> ReadItems(GgufValueType type)
    {
        var cursor = new GgufCursor(_file, _position);
        cursor.Enter(GgufValueReader.Subject, _key);
        for (ulong i = 0; i < _bits; i++) yield return GgufValueReader.Read(cursor, _key, type);
    }

    private CheckpointException Mismatch(string expected) => new(_file.Path, $"Metadata {TensorName.Quote(_key)} is {this}; expected {expected}.");
}
