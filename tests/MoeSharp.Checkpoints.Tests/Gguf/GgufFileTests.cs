using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<GgufType> Types => [.. Enum.GetValues<GgufType>()];

    public static TheoryData<string> References =>
        [.. Directory.GetFiles(Fixtures.Path("tensors"), "gguf_*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Types))]
    public void GgufFile_TensorOfEveryType_HasItsShapesAndItsBytes(GgufType type)
    {
        var (length, size) = GgufSizes.Of(type);
        byte[] bytes = Random(5 * 3 * 2 * size), before = Random(7);
        using var file = Open(new RawGguf().Tensor("before", GgufType.I8, [7], before).Tensor("a", type, [(ulong)(2 * length), 3, 5], bytes));

        var (info, tensor) = (file.Tensors["a"], file.Info("a"));
        bool isOfBlocks = length > 1;
        Assert.Equal($"a {type} [5, 3, {2 * length}]", tensor.ToString());
        Assert.Equal(isOfBlocks ? $"a U8 [5, 3, {2 * size}]" : $"a {type} [5, 3, 2]", info.ToString());
        Assert.Equal(0, info.Offset % 32);
        Assert.Equal(bytes, file.Data("a").Bytes(0, bytes.Length));
        Assert.Equal(before, file.Data("before").Bytes(0, before.Length));
    }

    [Theory, MemberData(nameof(Types))]
    public void GgufFile_WeightOfEveryType_DecodesLikeItsBlocksInMemory(GgufType type)
    {
        var (length, size) = GgufSizes.Of(type);
        byte[] bytes = Random(5 * 3 * 2 * size);
        using var file = Open(new RawGguf().Tensor("a", type, [(ulong)(2 * length), 3, 5], bytes));
        if (!GgufTypes.Decodable.Contains(type))
        {
            Assert.EndsWith($"Tensor 'a' is {type}; expected a type of weights.", Assert.Throws<CheckpointException>(() => file.Weight("a")).Message, StringComparison.Ordinal);
            return;
        }

        var weight = file.Weight("a");
        var expected = QuantizedWeights.FromGguf(TensorData.FromMemory("a", TensorType.U8, [5, 3, 2 * size], bytes), type, "memory");
        Assert.Equal([5, 3, 2 * length], weight.Shape);
        Assert.Equal(file.Info("a").Shape, weight.Shape);
        foreach (var (ours, theirs) in weight.Matrices.Zip(expected.Matrices)) BitAssert.Equal(Decode(theirs), Decode(ours));
    }

    [Theory, MemberData(nameof(References))]
    public void GgufFile_BlocksOfTheFormatsLibrary_DecodeToTheBitsOfTheLibrary(string name)
    {
        using var reference = SafetensorsFile.Open(Fixtures.Path("tensors", name));
        using var about = JsonDocument.Parse(reference.Metadata["case"]);
        var type = Enum.Parse<GgufType>(about.RootElement.GetProperty("format").GetString()!["gguf-".Length..], ignoreCase: true);
        var shape = reference.Tensors["expected.weight"].Shape;
        byte[] blocks = reference.Bytes(reference.Tensors.Keys.Single(key => !key.StartsWith("expected.", StringComparison.Ordinal))).ToArray();

        using var file = Open(new RawGguf().Tensor("blk.0.ffn_gate.weight", type, [.. shape.Reverse().Select(size => (ulong)size)], blocks));
        var weight = file.Weight("blk.0.ffn_gate.weight");

        Assert.Equal(shape, weight.Shape);
        BitAssert.Equal(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(reference.Bytes("expected.weight")), Decode(weight.Matrices.Single()));
    }

    [Fact]
    public void GgufFile_TensorsInAnyOrder_AreGivenInTheOrderOfTheirBytes()
    {
        using var file = Open(new RawGguf().Tensor("b", 24, [40], [], offset: 64).Tensor("a", 24, [33], new byte[104], offset: 0));

        Assert.Equal(["a", "b"], file.Tensors.Keys);
        Assert.Equal(64, file.Tensors["b"].Offset - file.Tensors["a"].Offset);
    }

    [Theory]
    [InlineData(2u, 32, true)]
    [InlineData(3u, 8, true)]
    [InlineData(3u, 4096, true)]
    [InlineData(3u, 64, false)]
    public void GgufFile_VersionAndAlignment_AreThoseOfTheFile(uint version, int alignment, bool fillsEnd)
    {
        byte[] bytes = Random(11);
        var raw = new RawGguf { Version = version, Alignment = alignment, FillsEnd = fillsEnd };
        using var file = Open(raw.Value("general.alignment", (uint)alignment).Tensor("a", GgufType.I8, [11], bytes).Tensor("b", GgufType.I8, [11], bytes));

        Assert.Equal((int)version, file.Version);
        Assert.All(file.Tensors.Values, tensor => Assert.Equal(0, tensor.Offset % alignment));
        Assert.All(file.Tensors.Keys, name => Assert.Equal(bytes, file.Data(name).Bytes(0, 11)));
    }

    [Fact]
    public void GgufFile_WithoutTensors_HasMetadataAlone()
    {
        using var file = Open(new RawGguf().Value("general.architecture", "qwen3moe"));

        Assert.Empty(file.Tensors);
        Assert.Equal("qwen3moe", file.Architecture);
    }

    [Fact]
    public void GgufFile_WithoutArchitecture_HasNone()
    {
        using var file = Open(new RawGguf());

        Assert.Null(file.Architecture);
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void GgufFile_UnknownTensorOrKey_IsNamed()
    {
        using var file = Open(new RawGguf());

        Assert.Equal($"{file.Path}: There is no tensor 'a'.", Assert.Throws<CheckpointException>(() => file.Data("a")).Message);
        Assert.Equal($"{file.Path}: There is no tensor 'a'.", Assert.Throws<CheckpointException>(() => file.Info("a")).Message);
        Assert.Equal($"{file.Path}: There is no tensor 'a'.", Assert.Throws<CheckpointException>(() => file.Weight("a")).Message);
        Assert.Equal($"{file.Path}: There is no metadata 'a'.", Assert.Throws<CheckpointException>(() => file.Value("a")).Message);
    }

    [Fact]
    public void GgufFile_WeightThatIsNoMatrix_IsRefused()
    {
        using var file = Open(new RawGguf().Tensor("a", GgufType.Q8_0, [32], new byte[34]).Tensor("b", GgufType.F32, [1, 1, 1, 1], new byte[4]));

        Assert.EndsWith("Tensor 'a' is U8 [34]; expected a matrix.", Assert.Throws<CheckpointException>(() => file.Weight("a")).Message, StringComparison.Ordinal);
        Assert.EndsWith("Tensor 'b' is F32 [1, 1, 1, 1]; expected a matrix.", Assert.Throws<CheckpointException>(() => file.Weight("b")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void GgufFile_AfterDispose_GivesNumbersButNoBytes()
    {
        var file = Open(new RawGguf().Value("n", 7u).Value("t", "text").Values("list", "x").Tensor("a", GgufType.I8, [1], [1]));
        file.Dispose();
        file.Dispose();

        Assert.Equal(7, file.Value("n").GetInteger());
        Assert.Throws<ObjectDisposedException>(() => file.Value("t").GetText());
        Assert.Throws<ObjectDisposedException>(() => file.Value("list").Items.First());
        Assert.Throws<ObjectDisposedException>(() => file.Data("a").Bytes(0, 1));
    }

    [Fact]
    public void GgufTensor_OfEqualParts_IsEqual()
    {
        var tensor = new GgufTensor("a", GgufType.Q4_K, [2, 256]);

        Assert.Equal(tensor, new GgufTensor("a", GgufType.Q4_K, [2, 256]));
        Assert.Equal(tensor.GetHashCode(), new GgufTensor("a", GgufType.Q4_K, [2, 256]).GetHashCode());
        Assert.NotEqual(tensor, tensor with { Shape = [256, 2] });
    }

    private GgufFile Open(RawGguf raw) => GgufFile.Open(raw.Write(_folder.File("model.gguf")));

    private static float[] Decode(WeightMatrix matrix)
    {
        float[] numbers = new float[matrix.Rows * matrix.Columns];
        matrix.Decode(0, matrix.Rows, numbers);
        return numbers;
    }

    private static byte[] Random(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }
}
