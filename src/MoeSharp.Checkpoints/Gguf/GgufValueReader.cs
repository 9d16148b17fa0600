namespace MoeSharp.Checkpoints;

/// <summary>Reads values of metadata and checks them, to their last byte; what texts and arrays hold stays where it is.</summary>
internal static class GgufValueReader
{
    /// <summary>What messages call a value, before its key.</summary>
    public const string Subject = "metadata";

    public const int MaximumTextLength = 100_000_000; // as for the header of a safetensors file; a tokenizer.json within has tens of megabytes
    public const int MaximumDepth = 4;

    private const int BlockLength = 1 << 20;
    private const int SmallestText = sizeof(ulong), SmallestArray = sizeof(uint) + sizeof(ulong);

    /// <summary>The value at the cursor.</summary>
    /// <exception cref="CheckpointException">The first fault found.</exception>
    public static GgufValue Read(GgufCursor cursor, string key, GgufValueType type) => type switch
    {
        GgufValueType.Text => ReadText(cursor, key),
        GgufValueType.Array => ReadArray(cursor, key),
        _ => new GgufValue(cursor.File, key, type, ReadBits(cursor, type)),
    };

    /// <summary>The type at the cursor.</summary>
    public static GgufValueType ReadType(GgufCursor cursor)
    {
        uint type = cursor.ReadUInt32();
        return type <= (uint)GgufValueType.F64
            ? (GgufValueType)type
            : throw cursor.Fault($"{cursor.Place()} has the type {type}; the format has types 0 to {(int)GgufValueType.F64}.");
    }

    /// <summary>Signed integers extended to 64 bits, floats widened to double precision.</summary>
    private static ulong ReadBits(GgufCursor cursor, GgufValueType type) => type switch
    {
        GgufValueType.U8 => cursor.ReadByte(),
        GgufValueType.I8 => (ulong)(sbyte)cursor.ReadByte(),
        GgufValueType.U16 => cursor.ReadUInt16(),
        GgufValueType.I16 => (ulong)(short)cursor.ReadUInt16(),
        GgufValueType.U32 => cursor.ReadUInt32(),
        GgufValueType.I32 => (ulong)(int)cursor.ReadUInt32(),
        GgufValueType.F32 => BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle(cursor.ReadUInt32())),
        GgufValueType.Flag => ReadFlag(cursor),
        _ => cursor.ReadUInt64(),
    };

    private static ulong ReadFlag(GgufCursor cursor)
    {
        byte flag = cursor.ReadByte();
        return flag <= 1 ? flag : throw WrongFlag(cursor, flag);
    }

    private static GgufValue ReadText(GgufCursor cursor, string key)
    {
        int length = cursor.ReadText(MaximumTextLength).Length;
        return new GgufValue(cursor.File, key, GgufValueType.Text, (ulong)length, cursor.Position - length);
    }

    private static GgufValue ReadArray(GgufCursor cursor, string key)
    {
        var (type, count) = ReadArrayHead(cursor);
        long start = cursor.Position;
        SkipItems(cursor, type, count, depth: 1);
        return new GgufValue(cursor.File, key, GgufValueType.Array, (ulong)count, start, type);
    }

    private static (GgufValueType Type, long Count) ReadArrayHead(GgufCursor cursor)
    {
        var type = ReadType(cursor);
        return (type, cursor.ReadCount(SmallestSize(type), "elements"));
    }

    private static void SkipItems(GgufCursor cursor, GgufValueType type, long count, int depth)
    {
        switch (type)
        {
            case GgufValueType.Text:
                for (long i = 0; i < count; i++) cursor.ReadText(MaximumTextLength);
                break;
            case GgufValueType.Array:
                if (depth == MaximumDepth) throw cursor.Fault($"{cursor.Place()} has lists in lists more than {MaximumDepth} deep.");
                for (long i = 0; i < count; i++) SkipArray(cursor, depth + 1);
                break;
            case GgufValueType.Flag:
                SkipFlags(cursor, count);
                break;
            default:
                cursor.Skip((ulong)(count * SmallestSize(type))); // no overflow: the file holds as many
                break;
        }
    }

    private static void SkipArray(GgufCursor cursor, int depth)
    {
        var (type, count) = ReadArrayHead(cursor);
        SkipItems(cursor, type, count, depth);
    }

    private static void SkipFlags(GgufCursor cursor, long count)
    {
        for (; count > 0; count -= BlockLength)
        {
            var flags = cursor.Take((ulong)Math.Min(count, BlockLength));
            int wrong = flags.IndexOfAnyExceptInRange((byte)0, (byte)1);
            if (wrong >= 0) throw WrongFlag(cursor, flags[wrong]);
        }
    }

    private static CheckpointException WrongFlag(GgufCursor cursor, byte flag) => cursor.Fault($"{cursor.Place()} has a flag of {flag}; expected 0 or 1.");

    /// <summary>The bytes of a number or flag, and the fewest of a text or array.</summary>
    private static int SmallestSize(GgufValueType type) => type switch
    {
        GgufValueType.U8 or GgufValueType.I8 or GgufValueType.Flag => 1,
        GgufValueType.U16 or GgufValueType.I16 => 2,
        GgufValueType.U32 or GgufValueType.I32 or GgufValueType.F32 => 4,
        GgufValueType.Text => SmallestText,
        GgufValueType.Array => SmallestArray,
        _ => 8,
    };
}
