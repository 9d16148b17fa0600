using System.Text;

namespace MoeSharp.Checkpoints;

/// <summary>Reads the metadata of a GGUF header: keys, each with a type and a value.</summary>
internal static class GgufMetadataReader
{
    public const int MaximumKeyLength = ushort.MaxValue; // the format's own

    /// <summary>The values by their keys, in the order of the file; the cursor stands behind them.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static OrderedDictionary<string, GgufValue> Read(GgufCursor cursor, int count)
    {
        var metadata = new OrderedDictionary<string, GgufValue>(count);
        for (int i = 0; i < count; i++)
        {
            cursor.Enter("a key of the metadata");
            string key = ReadKey(cursor);
            cursor.Enter(GgufValueReader.Subject, key);
            var value = GgufValueReader.Read(cursor, key, GgufValueReader.ReadType(cursor));
            if (!metadata.TryAdd(key, value)) throw cursor.Fault($"The metadata has the key {TensorName.Quote(key)} twice.");
            if (value.Type == GgufValueType.Text) value.GetText(); // throws where it is not UTF-8
        }

        return metadata;
    }

    private static string ReadKey(GgufCursor cursor)
    {
        var bytes = cursor.ReadText(MaximumKeyLength);
        string key = Encoding.Latin1.GetString(bytes);
        if (bytes.IsEmpty) throw cursor.Fault("The metadata has a key without a name.");
        if (bytes.ContainsAnyExceptInRange((byte)' ', (byte)'~')) throw cursor.Fault($"The metadata has the key {TensorName.Quote(key)}; keys are of ASCII that can be printed.");

        return key;
    }
}
