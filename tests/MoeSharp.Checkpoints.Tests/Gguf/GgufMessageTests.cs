using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Files that break one rule each, and what is said of them.</summary>
public sealed class GgufMessageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0, "The file has 0 bytes; a GGUF file starts with 24 bytes of a header.")]
    [InlineData(23, "The file has 23 bytes; a GGUF file starts with 24 bytes of a header.")]
    public void GgufFile_ShorterThanAHeader_IsRefused(int length, string message) => Expect(message, [.. Valid().Bytes().Take(length)]);

    [Fact]
    public void GgufFile_OfAnotherFormat_IsRefusedWithItsFirstBytes() =>
        Expect("The file starts with the bytes 67676D6C; a GGUF file starts with 'GGUF'.", [.. "ggml"u8, .. Valid().Bytes()[4..]]);

    [Theory]
    [InlineData(0u, "The file is GGUF of version 0, which is not supported; versions 2 and 3 are.")]
    [InlineData(1u, "The file is GGUF of version 1, which is not supported; versions 2 and 3 are. Convert the model again.")]
    [InlineData(4u, "The file is GGUF of version 4, which is not supported; versions 2 and 3 are.")]
    [InlineData(0x0300_0000u, "The file is GGUF for big-endian machines, which is not supported. Fetch or convert the model for little-endian ones.")]
    [InlineData(0x0200_0000u, "The file is GGUF for big-endian machines, which is not supported. Fetch or convert the model for little-endian ones.")]
    public void GgufFile_OfAnotherVersionOrByteOrder_IsRefused(uint version, string message) => Expect(message, new RawGguf { Version = version });

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 40)]
    [InlineData(100UL)]
    public void GgufFile_MoreTensorsThanItsBytesCanHold_IsRefusedWithoutAllocating(ulong count) =>
        Expect($"The header announces {count} tensors, more than the 16 bytes that follow can hold. The file is damaged or incomplete: fetch it again.", new RawGguf { TensorCount = count });

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(100UL)]
    public void GgufFile_MoreValuesThanItsBytesCanHold_IsRefusedWithoutAllocating(ulong count) =>
        Expect($"The header announces {count} values of metadata, more than the 8 bytes that follow can hold. The file is damaged or incomplete: fetch it again.", new RawGguf { ValueCount = count });

    [Fact]
    public void GgufFile_CountsAboveTheLimits_AreRefused()
    {
        Expect("The header announces 1000001 tensors; the limit of this reader is 1000000.", Padded(new RawGguf { TensorCount = 1_000_001 }, 33_000_100));
        Expect("The header announces 65537 values of metadata; the limit of this reader is 65536.", Padded(new RawGguf { ValueCount = 65_537 }, 1_000_000));
    }

    [Fact]
    public void GgufFile_KeyTwice_IsRefused() => Expect("The metadata has the key 'a' twice.", new RawGguf().Value("a", 1u).Value("a", 2u));

    [Theory]
    [InlineData("", "The metadata has a key without a name.")]
    [InlineData("a\u001b[2J", @"The metadata has the key 'a\u001b[2J'; keys are of ASCII that can be printed.")]
    [InlineData("é", "The metadata has the key 'Ã©'; keys are of ASCII that can be printed.")]
    public void GgufFile_KeyThatIsNone_IsRefused(string key, string message) => Expect(message, new RawGguf().Value(key, 1u));

    [Fact]
    public void GgufFile_KeyAboveTheLimit_IsRefused() =>
        Expect("A key of the metadata has a text of 65536 bytes; the limit is 65535.", new RawGguf().Value(new string('k', 65_536), 1u));

    [Theory]
    [InlineData(13u)]
    [InlineData(uint.MaxValue)]
    public void GgufFile_ValueOfUnknownType_IsRefused(uint type)
    {
        Expect($"Metadata 'a' has the type {type}; the format has types 0 to 12.", new RawGguf().Value("a", type, 0));
        Expect($"Metadata 'a' has the type {type}; the format has types 0 to 12.", new RawGguf().Value("a", 9, [.. BitConverter.GetBytes(type), .. new byte[8]]));
    }

    [Fact]
    public void GgufFile_FlagThatIsNeitherZeroNorOne_IsRefused()
    {
        Expect("Metadata 'a' has a flag of 2; expected 0 or 1.", new RawGguf().Value("a", GgufValueType.Flag, 2));
        Expect("Metadata 'a' has a flag of 255; expected 0 or 1.", new RawGguf().Value("a", GgufValueType.Array, RawGguf.Array(GgufValueType.Flag, 3, 0, 1, 255)));
    }

    [Fact]
    public void GgufFile_TextThatIsNotUtf8_IsRefused() =>
        Expect("Metadata 'a' has a text that is not UTF-8.", new RawGguf().Value("a", GgufValueType.Text, [.. BitConverter.GetBytes(2L), 0xc3, 0x28]));

    [Theory]
    [InlineData(GgufValueType.U8, ulong.MaxValue)]
    [InlineData(GgufValueType.F64, 1UL << 61)]      // times 8 is 0 in 64 bits
    [InlineData(GgufValueType.Text, 1UL << 61)]
    [InlineData(GgufValueType.Array, 6UL)]
    public void GgufFile_ListOfMoreElementsThanItsBytesCanHold_IsRefused(GgufValueType type, ulong count) =>
        Expect(
            $"Metadata 'a' announces {count} elements, more than the 47 bytes that follow can hold. The file is damaged or incomplete: fetch it again.",
            new RawGguf().Value("a", GgufValueType.Array, [.. RawGguf.Array(type, (long)count), .. new byte[26]]));

    [Fact]
    public void GgufFile_ListsInListsTooDeep_AreRefused()
    {
        byte[] list = RawGguf.Array(GgufValueType.U8, 1, 7);
        for (int depth = 1; depth < 4; depth++) list = RawGguf.Array(GgufValueType.Array, 1, list);

        GgufFile.Open(new RawGguf().Value("a", GgufValueType.Array, list).Write(_folder.File("deep.gguf"))).Dispose();
        Expect("Metadata 'a' has lists in lists more than 4 deep.", new RawGguf().Value("a", GgufValueType.Array, RawGguf.Array(GgufValueType.Array, 1, list)));
    }

    [Fact]
    public void GgufFile_ValuePastTheEndOfTheFile_IsRefused() =>
        Expect("Metadata 'a' takes 9223372036854775807 bytes at byte 45, but the file ends at 64. The file is damaged or incomplete: fetch it again.", new RawGguf().Value("a", GgufValueType.Text, BitConverter.GetBytes(long.MaxValue)));

    [Theory]
    [InlineData(0u)]
    [InlineData(4u)]
    [InlineData(24u)]
    [InlineData(33u)]
    public void GgufFile_AlignmentThatIsNoPowerOfTwoFrom8On_IsRefused(uint alignment) =>
        Expect($"Metadata 'general.alignment' is {alignment} (U32); expected a power of two from 8 on (U32).", new RawGguf().Value("general.alignment", alignment));

    [Fact]
    public void GgufFile_AlignmentOfAnotherType_IsRefused() =>
        Expect("Metadata 'general.alignment' is 32 (U64); expected a power of two from 8 on (U32).", new RawGguf().Value("general.alignment", GgufValueType.U64, BitConverter.GetBytes(32L)));

    [Fact]
    public void GgufFile_ArchitectureThatIsNoText_IsRefused() =>
        Expect($"Metadata 'general.architecture' is 5; expected text.", new RawGguf().Value("general.architecture", 5u));

    [Fact]
    public void GgufFile_TensorTwice_IsRefused() =>
        Expect("The header names tensor 'a' twice.", new RawGguf().Tensor("a", GgufType.I8, [1], [1]).Tensor("a", GgufType.I8, [1], [1]));

    [Fact]
    public void GgufFile_TensorNamesThatAreNone_AreRefused()
    {
        Expect("The name of a tensor has a text of 65 bytes; the limit is 64.", new RawGguf().Tensor(new string('n', 65), GgufType.I8, [1], [1]));
        Expect(@"Tensor name 'a\u001b' has the character U+001B, which terminals obey instead of showing it.", new RawGguf().Tensor("a\u001b", GgufType.I8, [1], [1]));
        byte[] bytes = new RawGguf().Tensor("name", GgufType.I8, [1], [1]).Bytes();
        bytes[bytes.AsSpan().IndexOf("name"u8)] = 0xff;
        Expect("Tensor name '�ame' is not UTF-8.", bytes);
    }

    [Theory]
    [InlineData(0, "Tensor 'a' has 0 dimensions; the format allows 1 to 4.")]
    [InlineData(5, "Tensor 'a' has 5 dimensions; the format allows 1 to 4.")]
    public void GgufFile_TensorOfTooManyOrNoDimensions_IsRefused(int rank, string message) =>
        Expect(message, new RawGguf().Tensor("a", GgufType.I8, [.. Enumerable.Repeat(1UL, rank)], new byte[32]));

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL << 63)]
    public void GgufFile_DimensionThatIsNone_IsRefused(ulong size) =>
        Expect($"Tensor 'a' has a dimension of {size}; expected 1 to 9223372036854775807.", new RawGguf().Tensor("a", GgufType.I8, [1, size], [1]));

    [Theory]
    [InlineData(4u, "4 (Q4_2)")]
    [InlineData(15u, "15 (Q8_K)")]
    [InlineData(23u, "23 (IQ4_XS)")]
    [InlineData(29u, "29 (IQ1_M)")]
    [InlineData(31u, "31 (Q4_0_4_4)")]
    [InlineData(35u, "35 (TQ2_0)")]
    [InlineData(40u, "40 (NVFP4)")]
    [InlineData(42u, "42 (Q2_0)")]
    [InlineData(43u, "43")]
    [InlineData(uint.MaxValue, "4294967295")]
    public void GgufFile_TensorOfATypeThatIsNotSupported_IsRefusedByNumberAndName(uint type, string shown) =>
        Expect(
            $"Tensor 'a' has the type {shown}, which is not supported; supported are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, I8, I16, I32, I64, F64, BF16, MXFP4.",
            new RawGguf().Tensor("a", type, [256], new byte[256]));

    [Fact]
    public void GgufTypeNames_SupportedTypes_AreCalledAsTheyAre() =>
        Assert.All(Enum.GetValues<GgufType>(), type => Assert.Equal($"{(int)type} ({type})", GgufTypeNames.Describe((uint)type)));

    [Fact]
    public void GgufFile_RowsThatAreNoWholeBlocks_AreRefused() =>
        Expect("Tensor 'a' has rows of 128 numbers; rows of Q4_K are blocks of 256.", new RawGguf().Tensor("a", GgufType.Q4_K, [128, 2], new byte[144]));

    [Fact]
    public void GgufFile_SizeAbove64Bits_IsRefused() =>
        Expect("Tensor 'a': shape [4611686018427387904, 2] of F32 overflows 64 bits.", new RawGguf().Tensor("a", GgufType.F32, [2, 1UL << 62], new byte[32]));

    [Theory]
    [InlineData(1UL, "Tensor 'b' starts at byte 1 of the data, which is no multiple of the alignment of 32.")]
    [InlineData(0UL, "Tensor 'b' starts at byte 0 of the data and overlaps another tensor; expected byte 64.")]
    [InlineData(32UL, "Tensor 'b' starts at byte 32 of the data and overlaps another tensor; expected byte 64.")]
    [InlineData(96UL, "Tensor 'b' starts at byte 96 of the data and leaves a hole before it; expected byte 64.")]
    [InlineData(1UL << 62, "Tensor 'b' has 32 bytes from byte 4611686018427387904 of the data on, which starts at byte 96; the file ends at 288. The file is incomplete: fetch it again.")]
    [InlineData(ulong.MaxValue - 31, "Tensor 'b' has 32 bytes from byte 18446744073709551584 of the data on, which starts at byte 96; the file ends at 288. The file is incomplete: fetch it again.")]
    public void GgufFile_TensorThatLiesWrong_IsRefused(ulong offset, string message) =>
        Expect(message, new RawGguf().Tensor("a", 24, [40], new byte[40], offset: 0).Tensor("b", 24, [32], new byte[128], offset));

    [Fact]
    public void GgufFile_BytesBehindTheLastTensor_AreRefused()
    {
        byte[] bytes = new RawGguf().Tensor("a", GgufType.I8, [5], new byte[5]).Bytes();

        Expect("The tensors end at byte 69 but the file at 97; bytes that belong to no tensor: 28.", [.. bytes, 0]);
        Expect("The tensors end at byte 24 but the file at 33; bytes that belong to no tensor: 9.", [.. new RawGguf().Bytes(), 0]);
    }

    [Fact]
    public void GgufFile_CutAnywhere_IsRefused()
    {
        byte[] bytes = Valid().Bytes();
        for (int length = 0; length < bytes.Length; length++) Assert.NotEmpty(Failure(bytes[..length]));
    }

    [Fact]
    public void GgufFile_MissingFileOrFolder_IsACheckpointException()
    {
        Assert.Contains("cannot be read", Assert.Throws<CheckpointException>(() => GgufFile.Open(_folder.File("none"))).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", Assert.Throws<CheckpointException>(() => GgufFile.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    /// <summary>A file with a value of every kind, that ends with its last tensor.</summary>
    private static RawGguf Valid() => new RawGguf { FillsEnd = false }
        .Value("general.architecture", "qwen3moe")
        .Value("flag", GgufValueType.Flag, 1)
        .Value("number", GgufValueType.F64, BitConverter.GetBytes(0.5))
        .Values("texts", "one", "two")
        .Value("flags", GgufValueType.Array, RawGguf.Array(GgufValueType.Flag, 2, 0, 1))
        .Value("nested", GgufValueType.Array, RawGguf.Array(GgufValueType.Array, 1, RawGguf.Array(GgufValueType.I16, 1, 1, 2)))
        .Tensor("a", GgufType.Q8_0, [32, 2], new byte[68])
        .Tensor("b", GgufType.F32, [3], new byte[12]);

    private static byte[] Padded(RawGguf raw, int length)
    {
        byte[] bytes = raw.Bytes();
        Array.Resize(ref bytes, length);
        return bytes;
    }

    private void Expect(string message, RawGguf raw) => Expect(message, raw.Bytes());

    private void Expect(string message, byte[] file) => Assert.Equal($"{_folder.File("a.gguf")}: {message}", Failure(file));

    private string Failure(byte[] file)
    {
        string path = _folder.File("a.gguf");
        File.WriteAllBytes(path, file);

        long before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<CheckpointException>(() => GgufFile.Open(path));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        return e.Message;
    }
}
