using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>The number types against every code that PyTorch and ml_dtypes decode, and floats that they encode.</summary>
public sealed class SmallFloatTests
{
    private static readonly SafetensorsFile Scalars = SafetensorsFile.Open(Fixtures.Path("tensors", "scalars.safetensors"));

    public static TheoryData<string, string> Types => new()
    {
        { "e4m3", "codes" }, { "e5m2", "codes" }, { "e8m0", "codes" }, { "e4m3fnuz", "codes" }, { "e5m2fnuz", "codes" },
        { "f6_e2m3", "codes_u8" }, { "f6_e3m2", "codes_u8" }, { "f4_e2m1", "codes_u8" },
    };

    [Theory, MemberData(nameof(Types))]
    public void SmallFloat_EveryCode_IsTheReferencesFloat(string type, string codes)
    {
        var bytes = Scalars.Bytes($"{type}.{codes}");
        var expected = MemoryMarshal.Cast<byte, float>(Scalars.Bytes($"{type}.float32"));

        for (int i = 0; i < bytes.Length; i++) Assert.Equal(Bits(expected[i]), Bits(Decode(type, bytes[i])));
    }

    [Theory]
    [InlineData("e4m3")]
    [InlineData("e5m2")]
    public void SmallFloat_Encoding_IsTheReferencesCode(string type)
    {
        var inputs = MemoryMarshal.Cast<byte, float>(Scalars.Bytes("encode.input"));
        var expected = Scalars.Bytes($"encode.{type}");

        for (int i = 0; i < inputs.Length; i++)
        {
            byte code = type == "e4m3" ? SmallFloat.ToE4M3(inputs[i]) : SmallFloat.ToE5M2(inputs[i]);
            Assert.Equal(Bits(Decode(type, expected[i])), Bits(Decode(type, code)));
        }
    }

    [Fact]
    public void SmallFloat_EncodingWhatWasDecoded_GivesTheCode()
    {
        for (int code = 0; code < 256; code++)
        {
            float e4m3 = SmallFloat.FromE4M3((byte)code), e5m2 = SmallFloat.FromE5M2((byte)code);
            if (!float.IsNaN(e4m3)) Assert.Equal(code, SmallFloat.ToE4M3(e4m3));
            if (!float.IsNaN(e5m2)) Assert.Equal(code, SmallFloat.ToE5M2(e5m2));
        }
    }

    [Theory]
    [InlineData(0x38, 1f)]
    [InlineData(0x3c, 1.5f)]
    [InlineData(0x01, 0.001953125f)]
    [InlineData(0x7e, 448f)]
    [InlineData(0xb8, -1f)]
    public void SmallFloat_E4M3_HasTheValuesOfItsDefinition(byte code, float expected) => Assert.Equal(expected, SmallFloat.FromE4M3(code));

    private static float Decode(string type, byte code) => type switch
    {
        "e4m3" => SmallFloat.FromE4M3(code),
        "e5m2" => SmallFloat.FromE5M2(code),
        "e8m0" => SmallFloat.FromE8M0(code),
        "e4m3fnuz" => SmallFloat.FromE4M3Fnuz(code),
        "e5m2fnuz" => SmallFloat.FromE5M2Fnuz(code),
        "f6_e2m3" => SmallFloat.FromE2M3(code),
        "f6_e3m2" => SmallFloat.FromE3M2(code),
        _ => SmallFloat.FromE2M1(code),
    };

    private static int Bits(float value) => float.IsNaN(value) ? 0x7fc00000 : BitConverter.SingleToInt32Bits(value);
}
